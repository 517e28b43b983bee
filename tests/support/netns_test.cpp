#include "tests/support/netns_test.hpp"

#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <sys/wait.h>

#include <array>
#include <chrono>
#include <cstring>
#include <thread>

#include "base/error.hpp"

extern char** environ;  // NOLINT(readability-redundant-declaration): POSIX asks for it here

namespace netctl::testing {
namespace {

struct SpawnActions {
  posix_spawn_file_actions_t actions{};
  SpawnActions() { ::posix_spawn_file_actions_init(&actions); }
  SpawnActions(const SpawnActions&) = delete;
  SpawnActions& operator=(const SpawnActions&) = delete;
  ~SpawnActions() { ::posix_spawn_file_actions_destroy(&actions); }
};

std::string read_to_end(int fd) {
  std::string text;
  std::array<char, 4096> part{};
  for (;;) {
    const ssize_t size = ::read(fd, part.data(), part.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return text;
    text.append(part.data(), static_cast<std::size_t>(size));
  }
}

int wait_for(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

nlohmann::json parse_output(const std::vector<std::string>& arguments) {
  const std::string text = output_of(arguments);
  nlohmann::json parsed = nlohmann::json::parse(text.empty() ? "[]" : text, nullptr, false);
  if (parsed.is_discarded()) ADD_FAILURE() << arguments.front() << " did not print JSON: " << text;
  return parsed;
}

}  // namespace

CommandResult run_command(const std::vector<std::string>& arguments) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw_errno("could not make a pipe");
  const UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  SpawnActions spawn;
  ::posix_spawn_file_actions_adddup2(&spawn.actions, write_end.get(), STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&spawn.actions, write_end.get(), STDERR_FILENO);
  pid_t pid = 0;
  const int failure = ::posix_spawnp(&pid, argv[0], &spawn.actions, nullptr, argv.data(), environ);
  if (failure != 0) return {127, arguments.front() + ": " + errno_text(failure)};
  write_end.reset();
  CommandResult result;
  result.output = read_to_end(read_end.get());
  result.exit_code = wait_for(pid);
  return result;
}

std::string output_of(const std::vector<std::string>& arguments) {
  CommandResult result = run_command(arguments);
  if (result.exit_code != 0) {
    std::string line;
    for (const std::string& argument : arguments) line += argument + " ";
    ADD_FAILURE() << line << "ended with " << result.exit_code << ": " << result.output;
  }
  return std::move(result.output);
}

nlohmann::json ip_json(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"ip", "-j"});
  return parse_output(arguments);
}

nlohmann::json nft_json(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"nft", "-j"});
  return parse_output(arguments);
}

netlink::Netns make_netns() {
  const netlink::Netns home = netlink::Netns::current();
  std::optional<netlink::Netns> made;
  // run() brings this thread home from whatever namespace the body leaves it in.
  home.run([&made] {
    if (::unshare(CLONE_NEWNET) != 0) throw_errno("could not make a network namespace");
    made = netlink::Netns::current();
  });
  return std::move(*made);
}

void wait_until(const std::function<bool()>& condition, const std::string& what) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!condition()) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "waited in vain until " << what;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

netlink::Socket open_socket_in(const netlink::Netns& netns, netlink::Bus bus) {
  std::optional<netlink::Socket> socket;
  netns.run([&socket, bus] { socket = netlink::Socket::open(bus); });
  return std::move(*socket);
}

void NetnsTest::SetUp() {
  home_ = netlink::Netns::current();
  ASSERT_EQ(::unshare(CLONE_NEWNET), 0)
      << "a private network namespace cannot be made (" << std::strerror(errno)
      << "): run the tests as root, or under `unshare --map-root-user`";
  host_ = netlink::Netns::current();
  route_ = netlink::Socket::open(netlink::Bus::kRoute);
}

void NetnsTest::TearDown() {
  route_.reset();
  if (host_) {
    ASSERT_EQ(::setns(home_->fd(), CLONE_NEWNET), 0);
  }
}

}  // namespace netctl::testing
