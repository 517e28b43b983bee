// The process around a call, tested from outside with a plugin that misbehaves on demand.

#include <sys/wait.h>

#include <chrono>
#include <csignal>

#include <gmock/gmock.h>

#include "tests/unit/cni/support.hpp"

namespace netctl::cni {
namespace {

using nlohmann::json;
using test::read_file;
using test::TemporaryFolder;
using testing::HasSubstr;

struct Ended {
  int status = 0;  ///< as waitpid() gives it
  std::string output, messages;
};

/// Runs a line of shell; $PLUGIN is the plugin, $DIR a folder of the test's own.
Ended shell(const TemporaryFolder& folder, const std::string& line) {
  ::setenv("PLUGIN", CNI_TEST_PLUGIN, 1);
  ::setenv("DIR", folder.path().c_str(), 1);
  const std::string command = "{ " + line + "; } >$DIR/out 2>$DIR/err";
  // NOLINTNEXTLINE(cert-env33-c): the shell is what the test is written in
  const int status = std::system(command.c_str());
  return {status, read_file(folder / "out"), read_file(folder / "err")};
}

constexpr const char* kAdd =
    "CNI_COMMAND=ADD CNI_CONTAINERID=c CNI_NETNS=/n CNI_IFNAME=eth0 exec \"$PLUGIN\"";

Ended add(const TemporaryFolder& folder, const std::string& behaviour, const std::string& redirection = "",
          const std::string& before = "") {
  test::write_file(folder / "in",
                   json({{"cniVersion", "1.0.0"}, {"name", "n"}, {"behave", behaviour}}).dump());
  return shell(folder, before + " " + kAdd + " <$DIR/in " + redirection);
}

TEST(Process, AnswersAnAdd) {
  const TemporaryFolder folder;
  const Ended ended = add(folder, "well");
  EXPECT_EQ(ended.status, 0);
  const json result = json::parse(ended.output);
  EXPECT_EQ(result["netctl"]["blocked"], json({SIGTERM, SIGINT, SIGHUP, SIGPIPE}));
  EXPECT_EQ(ended.messages, "");
}

TEST(Process, LetsSignalsWaitAndEndsWithItsOwnStatus) {
  const TemporaryFolder folder;
  const Ended ended = add(folder, "be ended");
  EXPECT_EQ(ended.status, 0);
  EXPECT_TRUE(json::parse(ended.output).contains("netctl"));
}

TEST(Process, AnswersExceptions) {
  for (const char* behaviour : {"throw", "exhaust memory", "terminate"}) {
    const TemporaryFolder folder;
    const Ended ended = add(folder, behaviour);
    EXPECT_EQ(WEXITSTATUS(ended.status), 1) << behaviour;
    EXPECT_EQ(json::parse(ended.output)["code"], 999) << behaviour;
  }
}

TEST(Process, AnswersCrashesAndDiesOfThem) {
  for (const char* behaviour : {"abort", "crash", "bus error"}) {
    const TemporaryFolder folder;
    // A sanitizer's handlers would stay in place of ours.
    const Ended ended =
        add(folder, behaviour, "", "ulimit -c 0; export ASAN_OPTIONS=handle_segv=0:handle_sigbus=0;");
    EXPECT_NE(ended.status, 0) << behaviour;
    EXPECT_EQ(json::parse(ended.output)["code"], 999) << behaviour;
  }
}

TEST(Process, TakesAnAddBackThatCannotBePrinted) {
  for (const char* redirection : {">/dev/full", ">&-"}) {
    const TemporaryFolder folder;
    const Ended ended = add(folder, "well", redirection);
    EXPECT_EQ(WEXITSTATUS(ended.status), 1);
    EXPECT_THAT(ended.messages,
                testing::AllOf(HasSubstr("taken back\n"), HasSubstr("cannot print the answer")));
  }
}

TEST(Process, TakesAnAddBackWhoseReaderIsGone) {
  const TemporaryFolder folder;
  test::write_file(folder / "in", R"({"cniVersion":"1.0.0","name":"n"})");
  // The reader ends before the plugin starts; its status goes to a file, as a pipeline has only one.
  shell(folder, std::string("( sleep 0.2; ( ") + kAdd + " <$DIR/in ); echo $? >$DIR/status ) | true");
  EXPECT_EQ(read_file(folder / "status"), "1\n");
  EXPECT_THAT(read_file(folder / "err"), testing::AllOf(HasSubstr("taken back\n"), HasSubstr("Broken pipe")));
}

TEST(Process, NeverOpensAFileAsStdinStdoutOrStderr) {
  const TemporaryFolder folder;
  const Ended ended = add(folder, "well", "2>&-");
  const json open = json::parse(ended.output)["netctl"]["open"];
  for (const int fd : {0, 1, 2}) EXPECT_EQ(open.at(static_cast<std::size_t>(fd)), fd) << open;
  const Ended without_input = shell(folder, std::string(kAdd) + " <&-");
  EXPECT_EQ(json::parse(without_input.output)["code"], 5);
}

TEST(Process, AnswersVersionWhenNothingComes) {
  const TemporaryFolder folder;
  const auto start = std::chrono::steady_clock::now();
  for (const char* line :
       {"mkfifo $DIR/pipe; sleep 60 >$DIR/pipe & CNI_COMMAND=VERSION \"$PLUGIN\" <$DIR/pipe; kill $!",
        "CNI_COMMAND=VERSION \"$PLUGIN\" <&-", "CNI_COMMAND=VERSION \"$PLUGIN\" </dev/null"}) {
    const Ended ended = shell(folder, line);
    EXPECT_EQ(json::parse(ended.output)["cniVersion"], "1.1.0") << line;
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(50));
  const Ended ended = shell(folder, "echo '{\"cniVersion\":\"0.4.0\"}' | CNI_COMMAND=VERSION \"$PLUGIN\"");
  EXPECT_EQ(json::parse(ended.output)["cniVersion"], "0.4.0");
}

TEST(Process, ReadsAnInputThatComesInPieces) {
  const TemporaryFolder folder;
  const Ended ended =
      shell(folder,
            std::string("{ printf '{\"cniVersion\":\"1.0.0\",'; sleep 0.3; printf '\"name\":\"n\"}'; } | (") +
                kAdd + ")");
  EXPECT_EQ(json::parse(ended.output)["cniVersion"], "1.0.0");
}

TEST(Process, RefusesTenMegabytesWithoutReadingAllOfThem) {
  const TemporaryFolder folder;
  test::write_file(folder / "big", std::string(10U << 20U, ' '));
  const Ended ended = shell(folder, std::string(kAdd) + " <$DIR/big");
  EXPECT_EQ(json::parse(ended.output)["code"], 6);
}

TEST(Process, ReportsAStdinThatCannotBeRead) {
  const TemporaryFolder folder;
  const Ended ended = shell(folder, std::string(kAdd) + " <$DIR");
  EXPECT_EQ(json::parse(ended.output)["code"], 5);
}

TEST(Process, SaysWhatItIsWithoutACommand) {
  const TemporaryFolder folder;
  const Ended ended = shell(folder, "\"$PLUGIN\"");
  EXPECT_EQ(ended.status, 0);
  EXPECT_EQ(ended.output, "");
  EXPECT_THAT(ended.messages, HasSubstr("misbehaving"));
}

}  // namespace
}  // namespace netctl::cni
