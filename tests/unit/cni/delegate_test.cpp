#include "plugins/cni/delegate.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <thread>

#include <gmock/gmock.h>

#include "base/unique_fd.hpp"
#include "plugins/cni/signals_internal.hpp"
#include "tests/unit/cni/support.hpp"

namespace netctl::cni {
namespace {

using nlohmann::json;
using test::error_of;
using test::TemporaryFolder;
using test::write_script;
using testing::HasSubstr;

class Delegate : public testing::Test {
 protected:
  json run(const std::string& script, Command command = Command::kAdd, const json& config = json::object()) {
    write_script(folder_ / "plugin", script);
    DelegateCall call;
    call.command = command;
    call.container_id = "c1";
    call.netns = "/run/netns/a b";
    call.ifname = "eth0";
    call.path = {folder_.path(), "/nowhere"};
    return run_plugin(folder_ / "plugin", call, config);
  }
  TemporaryFolder folder_;
};

TEST_F(Delegate, GetsTheConfigurationAndItsAnswerIsReturned) {
  const json config{{"name", "net"}, {"text", "\"'$(true)\\\n"}};
  EXPECT_EQ(run("cat", Command::kAdd, config), config);
  EXPECT_EQ(run("exec >/dev/null; cat"), nullptr);
  EXPECT_EQ(run("echo"), nullptr);
  EXPECT_EQ(run("echo chat", Command::kDel), nullptr);
}

TEST_F(Delegate, GetsTheCallInItsEnvironment) {
  ::setenv("CNI_ARGS", "INHERITED=1", 1);
  ::setenv("CNI_IFNAME", "inherited", 1);
  ::setenv("TRACEPARENT", "00-trace", 1);
  const json seen = run(R"sh(
      printf '{"call":"%s %s %s %s <%s>",' "$CNI_COMMAND" "$CNI_CONTAINERID" "$CNI_NETNS" "$CNI_IFNAME" "$CNI_ARGS"
      printf '"path":"%s","trace":"%s","twice":%s}' "$CNI_PATH" "$TRACEPARENT" "$(env | grep -c ^CNI_IFNAME=)")sh");
  ::unsetenv("CNI_ARGS");
  ::unsetenv("CNI_IFNAME");
  ::unsetenv("TRACEPARENT");
  EXPECT_EQ(seen["call"], "ADD c1 /run/netns/a b eth0 <>");
  EXPECT_EQ(seen["path"], folder_.path() + ":/nowhere");
  EXPECT_EQ(seen["trace"], "00-trace");
  EXPECT_EQ(seen["twice"], 1);
}

TEST_F(Delegate, InheritsNothingButTheStandardDescriptors) {
  const UniqueFd leaked(::open("/dev/null", O_RDONLY));  // on purpose without O_CLOEXEC
  const json open = run("ls /proc/self/fd | grep -c . | sed 's/^/[/; s/$/]/'");
  EXPECT_EQ(open[0], 4) << "0, 1, 2 and the listing's own";
}

TEST_F(Delegate, GetsTheSignalMaskOfBefore) {
  const auto blocked_in_child = [&] {
    return run("printf '\"%s\"' $(grep SigBlk /proc/self/status | cut -f2)");
  };
  const json outside = blocked_in_child();
  const BlockedSignals blocked;
  EXPECT_EQ(blocked_in_child(), outside);
}

TEST_F(Delegate, ErrorsPassThroughUnchanged) {
  const Error error = error_of([&] { run(R"(echo '{"code":11,"msg":"later","details":"busy"}'; exit 1)"); });
  EXPECT_EQ(error.code(), ErrorCode::kTryAgainLater);
  EXPECT_EQ(error.message(), "later");
  EXPECT_EQ(error.details(), "busy");
  const Error own_number = error_of([&] { run(R"(echo '{"cniVersion":"1.0.0","code":4242}'; exit 3)"); });
  EXPECT_EQ(static_cast<unsigned>(own_number.code()), 4242U);
}

TEST_F(Delegate, FailuresWithoutAnErrorObjectAreNamed) {
  for (const std::string script :
       {"exit 7", "echo oops; exit 7", "echo '{}'; exit 7", R"(echo '{"code":0}'; exit 7)",
        R"(echo '{"code":"1"}'; exit 7)", R"(echo '{"code":-1}'; exit 7)", "echo '[]'; exit 7"}) {
    const Error error = error_of([&] { run(script); });
    EXPECT_EQ(error.code(), ErrorCode::kDelegate) << script;
    EXPECT_THAT(error.message(), HasSubstr("exit status 7"));
  }
  EXPECT_THAT(error_of([&] { run("kill -9 $$"); }).message(), HasSubstr("signal 9"));
}

TEST_F(Delegate, AnAddThatPrintsNoJsonFails) {
  const Error error = error_of([&] { run("echo hello"); });
  EXPECT_EQ(error.code(), ErrorCode::kDelegate);
  EXPECT_THAT(error.message(), HasSubstr("not JSON"));
}

TEST_F(Delegate, MayIgnoreALargeInputAndPrintALot) {
  const json config{{"name", std::string(4U << 20U, 'x')}};
  EXPECT_EQ(run("echo 5", Command::kAdd, config), 5);
  EXPECT_EQ(run("cat", Command::kAdd, config), config);
}

TEST_F(Delegate, IsKilledWhenItPrintsWithoutEnd) {
  EXPECT_THAT(error_of([&] { run("exec cat /dev/zero"); }).message(), HasSubstr("16 MiB"));
}

TEST_F(Delegate, MayLeaveSomethingRunning) {
  const auto start = std::chrono::steady_clock::now();
  // It holds the delegate's stdout, for which nobody may wait; not our stderr, for whose end CTest waits.
  EXPECT_EQ(run("sleep 60 2>/dev/null & echo 5"), 5);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(50));
}

TEST_F(Delegate, IsWaitedForWhenSigchldIsIgnored) {
  const auto before = std::signal(SIGCHLD, SIG_IGN);
  EXPECT_THAT(error_of([&] { run("exit 7"); }).message(), HasSubstr("exit status 7"));
  EXPECT_EQ(std::signal(SIGCHLD, before), SIG_IGN) << "and the disposition is put back";
}

TEST_F(Delegate, ThatIsBeingReplacedIsTriedAgain) {
  std::filesystem::copy_file("/bin/true", folder_ / "busy");
  UniqueFd writer(::open((folder_ / "busy").c_str(), O_WRONLY | O_CLOEXEC));
  std::thread release([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(150));
    writer.reset();
  });
  EXPECT_NO_THROW(static_cast<void>(run_plugin(folder_ / "busy", {}, json::object())));
  release.join();
}

TEST_F(Delegate, ThatCannotBeStartedIsNamed) {
  test::write_file(folder_ / "garbage", "\x7F no program");
  ::chmod((folder_ / "garbage").c_str(), 0700);
  for (const char* name : {"garbage", "absent"}) {
    const Error error = error_of([&] { return run_plugin(folder_ / name, {}, json::object()); });
    EXPECT_EQ(error.code(), ErrorCode::kDelegate);
    EXPECT_THAT(error.message(), testing::AllOf(HasSubstr(name), HasSubstr("cannot be started")));
  }
}

TEST_F(Delegate, IsFoundInTheFirstDirectoryThatHasIt) {
  for (const char* name : {"one", "two", "three"}) std::filesystem::create_directory(folder_ / name);
  std::filesystem::create_directory(folder_ / "one/ipam");
  test::write_file(folder_ / "two/ipam", "not executable");
  ::chmod((folder_ / "two/ipam").c_str(), 0600);
  write_script(folder_ / "three/ipam", "true");
  std::filesystem::create_symlink(folder_ / "three", folder_ / "linked");
  std::filesystem::create_symlink(folder_ / "three/ipam", folder_ / "one/other");
  EXPECT_EQ(find_plugin("ipam", {"/nowhere", folder_ / "one", folder_ / "two", folder_ / "three"}),
            folder_ / "three/ipam");
  EXPECT_EQ(find_plugin("ipam", {folder_ / "linked"}), folder_ / "linked/ipam")
      << "a directory may be a link";
  EXPECT_EQ(find_plugin("other", {folder_ / "one"}), folder_ / "one/other") << "and so may a plugin";
}

TEST_F(Delegate, ThatIsNowhereIsNamedWithTheDirectories) {
  const Error error = error_of([&] { return find_plugin("ipam", {"/nowhere", folder_.path()}); });
  EXPECT_EQ(error.code(), ErrorCode::kInvalidConfig);
  EXPECT_THAT(error.message(), testing::AllOf(HasSubstr("ipam"), HasSubstr("/nowhere:" + folder_.path())));
  EXPECT_EQ(error_of([] { return find_plugin("ipam", {}); }).code(), ErrorCode::kInvalidEnvironment);
}

TEST_F(Delegate, NamesThatLeaveTheDirectoryAreNeverRun) {
  std::filesystem::create_directory(folder_ / "bin");
  write_script(folder_ / "evil", "touch \"$(dirname \"$0\")/ran\"");
  for (const std::string& name :
       {std::string("../evil"), folder_ / "evil", std::string("bin/../../evil"), std::string("./../evil"),
        std::string("..\\evil"), std::string("../evil\0", 8), std::string("..%2fevil"),
        std::string("..//evil"), std::string(".."), std::string("."), std::string(), std::string("/"),
        std::string(4096, '.') + "/evil", std::string(256, 'e'),
        std::string("\xC0\xAE\xC0\xAE\xC0\xAF") + "evil", std::string("evil;touch ran"),
        std::string("$(touch ran)"), std::string("evil\n"), std::string(" evil")}) {
    const Error error = error_of([&] {
      const std::string found = find_plugin(name, {folder_ / "bin"});
      static_cast<void>(run_plugin(found, {}, json::object()));
    });
    EXPECT_EQ(error.code(), ErrorCode::kInvalidConfig) << name;
  }
  EXPECT_FALSE(std::filesystem::exists(folder_ / "ran"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "bin/ran"));
}

}  // namespace
}  // namespace netctl::cni
