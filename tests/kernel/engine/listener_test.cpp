// A host port that a process has open: found by asking the kernel, named for the user, tolerated from the container's own
// monitor.

#include <arpa/inet.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <array>
#include <cstring>

#include "plugins/engine/port_probe.hpp"
#include "tests/kernel/engine/engine_fixture.hpp"

extern char** environ;  // NOLINT(readability-redundant-declaration): POSIX asks for it here

namespace netctl::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// A socket of this host with the port; one of TCP listens.
UniqueFd open_port(int type, const char* address, std::uint16_t port) {
  UniqueFd fd(::socket(AF_INET, type | SOCK_CLOEXEC, 0));
  sockaddr_in target{};
  target.sin_family = AF_INET;
  target.sin_port = htons(port);
  target.sin_addr.s_addr = ::inet_addr(address);
  EXPECT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&target), sizeof target), 0)
      << std::strerror(errno);
  EXPECT_TRUE(type != SOCK_STREAM || ::listen(fd.get(), 1) == 0) << std::strerror(errno);
  return fd;
}

/// Another process that holds the descriptor open, with `argument` on its command line, until the value goes.
class Holder {
 public:
  Holder(const UniqueFd& held, const std::string& argument, const std::string& program = "sh") {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    stop_ = UniqueFd(ends[1]);
    const UniqueFd input(ends[0]);
    posix_spawn_file_actions_t actions{};
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, input.get(), STDIN_FILENO);
    constexpr int kInherited = 9;  // dup2 takes close-on-exec off
    ::posix_spawn_file_actions_adddup2(&actions, held.get(), kInherited);
    std::string shell = "sh", option = "-c", script = "read -r line", name = "monitor", last = argument;
    const std::array<char*, 6> arguments{shell.data(), option.data(), script.data(),
                                         name.data(),  last.data(),   nullptr};
    EXPECT_EQ(::posix_spawnp(&pid_, program.c_str(), &actions, nullptr, arguments.data(), environ), 0);
    ::posix_spawn_file_actions_destroy(&actions);
  }
  Holder(const Holder&) = delete;
  Holder& operator=(const Holder&) = delete;
  ~Holder() {
    stop_.reset();
    ::waitpid(pid_, nullptr, 0);
  }
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  UniqueFd stop_;
  pid_t pid_ = 0;
};

class ListenerTest : public EngineTest {
 protected:
  AttachmentRequest publishing(std::uint16_t host_port, const std::string& id = "c0ffee0123456789") {
    AttachmentRequest request = wanted(id, box_);
    request.endpoint.ports = {mapping(host_port, 80)};
    return request;
  }
  [[nodiscard]] static std::string this_process() { return "(pid " + std::to_string(::getpid()) + ")"; }

 private:
  Box box_;
};

TEST_F(ListenerTest, IsNamedWhenItHasThePort) {
  const UniqueFd listener = open_port(SOCK_STREAM, "0.0.0.0", 8080);
  const std::string before = snapshot();
  const Error error = refusal(publishing(8080));
  EXPECT_EQ(error.code(), ErrorCode::kPortTaken);
  EXPECT_THAT(error.message(), HasSubstr("host port 8080/tcp is in use by kernel_engine " + this_process()));
  EXPECT_EQ(snapshot(), before);
  EXPECT_FALSE(record_of(publishing(8080)));
}

TEST_F(ListenerTest, IsNoObstacleOnceItIsGone) {
  UniqueFd listener = open_port(SOCK_STREAM, "0.0.0.0", 8080);
  EXPECT_EQ(refusal(publishing(8080)).code(), ErrorCode::kPortTaken);
  listener.reset();
  add(publishing(8080));
}

TEST_F(ListenerTest, StandsInTheWayOnOneAddressToo) {
  const UniqueFd listener = open_port(SOCK_STREAM, "127.0.0.1", 8080);
  EXPECT_EQ(refusal(publishing(8080)).code(), ErrorCode::kPortTaken);
  AttachmentRequest elsewhere = publishing(8080);
  elsewhere.endpoint.ports.front().host_ip = sample::address("127.0.0.2");
  add(elsewhere);
}

TEST_F(ListenerTest, IsOfOneProtocol) {
  const UniqueFd listener = open_port(SOCK_DGRAM, "0.0.0.0", 8080);
  AttachmentRequest udp = publishing(8080);
  udp.endpoint.ports.front().protocol = "udp";
  EXPECT_THAT(refusal(udp).message(), HasSubstr("8080/udp is in use by kernel_engine " + this_process()));
  add(publishing(8080));
}

TEST_F(ListenerTest, IsFoundInsideARange) {
  const UniqueFd listener = open_port(SOCK_STREAM, "0.0.0.0", 8083);
  AttachmentRequest request = publishing(8080);
  request.endpoint.ports.front().count = 4;
  EXPECT_EQ(refusal(request).code(), ErrorCode::kPortTaken);
  request.endpoint.ports.front().count = 3;
  add(request);
}

TEST_F(ListenerTest, IsPassedOverWhereAPortIsChosen) {
  const UniqueFd listener = open_port(SOCK_STREAM, "0.0.0.0", 32768);
  EXPECT_EQ(add(publishing(0)).netctl.at("ports").at(0).at("hostPort"), 32769);
}

TEST_F(ListenerTest, IsAcceptedWhenItIsTheContainersOwnMonitor) {
  UniqueFd listener = open_port(SOCK_STREAM, "0.0.0.0", 8080);
  const cni::test::TemporaryFolder folder;
  const std::string conmon = folder.path() + "/conmon";  // the kernel names a process after the file
  ASSERT_EQ(::symlink("/bin/sh", conmon.c_str()), 0);
  const Holder monitor(listener, "c0ffee0123456789", conmon);
  listener.reset();
  EXPECT_THAT(refusal(publishing(8080, "deadbeef")).message(),
              HasSubstr("(pid " + std::to_string(monitor.pid()) + ")"));
  add(publishing(8080));
  EXPECT_THAT(published(), ElementsAre("8080/tcp to 10.77.0.2:80"));
}

TEST_F(ListenerTest, IsNoMonitorBecauseItsCommandLineHoldsTheId) {
  UniqueFd listener = open_port(SOCK_STREAM, "0.0.0.0", 8080);
  const Holder server(listener, "c0ffee0123456789");
  listener.reset();
  EXPECT_EQ(refusal(publishing(8080)).code(), ErrorCode::kPortTaken);
}

TEST_F(ListenerTest, IsNotTheMonitorOfAContainerWhoseIdIsABeginning) {
  UniqueFd listener = open_port(SOCK_STREAM, "0.0.0.0", 8080);
  const cni::test::TemporaryFolder folder;
  const std::string conmon = folder.path() + "/conmon";
  ASSERT_EQ(::symlink("/bin/sh", conmon.c_str()), 0);
  const Holder monitor(listener, "c0ffee0123456789", conmon);
  listener.reset();
  EXPECT_EQ(refusal(publishing(8080, "c0ffee")).code(), ErrorCode::kPortTaken);
}

TEST_F(ListenerTest, IsDescribedAsFarAsItIsKnown) {
  ipam::PortRecord port = sample::port(8080, 80);
  EXPECT_FALSE(find_listener(port));
  UniqueFd socket = open_port(SOCK_STREAM, "0.0.0.0", 8080);
  const Holder holder(socket, "of-the-test");
  socket.reset();
  const auto listener = find_listener(port);
  ASSERT_TRUE(listener);
  EXPECT_EQ(listener->pid, holder.pid());
  EXPECT_EQ(listener->name, "sh");
  EXPECT_THAT(listener->arguments, ElementsAre("sh", "-c", "read -r line", "monitor", "of-the-test"));
  port.protocol = 17;
  EXPECT_FALSE(find_listener(port));
}

TEST_F(ListenerTest, OfAnotherNamespaceIsNoObstacle) {
  const Box elsewhere;
  UniqueFd listener;
  elsewhere.netns().run([&] { listener = open_port(SOCK_STREAM, "0.0.0.0", 8080); });
  add(publishing(8080));
}

}  // namespace
}  // namespace netctl::engine
