#include "plugins/engine/parts/legacy_iptables.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <fstream>
#include <vector>

#include "base/error.hpp"
#include "base/unique_fd.hpp"

namespace netctl::engine {
namespace {

using Arguments = std::vector<std::string>;

constexpr const char* kLockSeconds = "10";  // how long the program waits for another one of its kind

std::string program_for(Family family) {
  const std::string name = family == Family::kIpv4 ? "iptables-legacy" : "ip6tables-legacy";
  for (const char* folder : {"/usr/sbin/", "/sbin/"}) {
    const std::string path = folder + name;
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  throw Error(ErrorCode::kNotAvailable, "the table filter of the older iptables is in use, but " + name +
                                            " is in neither /usr/sbin nor /sbin; install it, so that the "
                                            "containers' packets can be let through");
}

struct Ended {
  int status = 0;  ///< 0: done; 1: what iptables says when a rule or chain is not there
  std::string words;
};

std::string beginning_of(const UniqueFd& file) {
  std::array<char, 512> text{};
  const ssize_t size = ::pread(file.get(), text.data(), text.size(), 0);
  std::string words(text.data(), size > 0 ? static_cast<std::size_t>(size) : 0U);
  while (!words.empty() && words.back() == '\n') words.pop_back();
  return words;
}

Ended run(Family family, const Arguments& arguments) {
  const std::string program = program_for(family);
  Arguments all{program, "-w", kLockSeconds};
  all.insert(all.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& argument : all) argv.push_back(argument.data());
  argv.push_back(nullptr);
  std::string path = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
  std::array<char*, 2> environment{path.data(), nullptr};
  const UniqueFd words(::memfd_create("iptables", MFD_CLOEXEC));
  if (!words) throw_errno("could not make room for what iptables says");
  posix_spawn_file_actions_t files{};
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_adddup2(&files, words.get(), STDERR_FILENO);
  posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
  pid_t pid = -1;
  const int problem = ::posix_spawn(&pid, program.c_str(), &files, nullptr, argv.data(), environment.data());
  posix_spawn_file_actions_destroy(&files);
  if (problem != 0) throw_errno("could not start " + program, problem);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128, beginning_of(words)};
}

bool succeeds(Family family, const Arguments& arguments) {
  const Ended ended = run(family, arguments);
  if (ended.status == 0) return true;
  if (ended.status <= 2) return false;  // not there; an unknown chain is a usage error to it
  throw Error(ErrorCode::kKernel, "iptables-legacy failed with exit status " + std::to_string(ended.status),
              ended.words);
}

void must_succeed(Family family, const Arguments& arguments) {
  const Ended ended = run(family, arguments);
  if (ended.status == 0) return;
  throw Error(ErrorCode::kKernel,
              "could not let the containers' packets pass in the older iptables: exit status " +
                  std::to_string(ended.status),
              ended.words);
}

/// The part behind "-I CHAIN", in the order in which packets are to meet the rules.
std::vector<Arguments> rules_of(const iptables::ForwardAccept& accept) {
  const std::string addresses = accept.addresses.network().to_string();
  const std::string comment = iptables::forward_comment(accept.addresses);
  const auto rule = [&](bool from, const std::string& target) {
    Arguments arguments{from ? "-s" : "-d", addresses};
    if (!accept.link.empty()) arguments.insert(arguments.end(), {from ? "-i" : "-o", accept.link});
    if (!from && target == "ACCEPT") {
      arguments.insert(arguments.end(), {"-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED,DNAT"});
    }
    arguments.insert(arguments.end(), {"-m", "comment", "--comment", comment, "-j", target});
    return arguments;
  };
  std::vector<Arguments> rules;
  if (!accept.admin_chain.empty()) rules = {rule(true, accept.admin_chain), rule(false, accept.admin_chain)};
  rules.push_back(rule(true, "ACCEPT"));
  rules.push_back(rule(false, "ACCEPT"));
  return rules;
}

Arguments with(const char* command, const std::string& chain, const Arguments& rule) {
  Arguments arguments{command, chain};
  arguments.insert(arguments.end(), rule.begin(), rule.end());
  return arguments;
}

}  // namespace

bool uses_legacy_filter(Family family) {
  std::ifstream names(family == Family::kIpv4 ? "/proc/thread-self/net/ip_tables_names"
                                              : "/proc/thread-self/net/ip6_tables_names");
  for (std::string name; std::getline(names, name);) {
    if (name == "filter") return true;
  }
  return false;
}

bool has_legacy_chain(Family family, const std::string& chain) {
  return succeeds(family, {"-n", "-L", chain});
}

std::string legacy_chain(Family family) {
  return has_legacy_chain(family, "DOCKER-USER") ? "DOCKER-USER" : "FORWARD";
}

void add_legacy(const iptables::ForwardAccept& accept) {
  std::vector<Arguments> rules = rules_of(accept);
  std::reverse(rules.begin(), rules.end());  // each goes to the head of the chain
  for (const Arguments& rule : rules) {
    if (succeeds(accept.family(), with("-C", accept.chain, rule))) continue;
    must_succeed(accept.family(), with("-I", accept.chain, rule));
  }
}

void remove_legacy(const iptables::ForwardAccept& accept) {
  if (!uses_legacy_filter(accept.family())) return;
  for (const Arguments& rule : rules_of(accept)) {
    constexpr int kCopies = 16;  // an operator may have saved and restored them
    for (int copy = 0; copy < kCopies && succeeds(accept.family(), with("-D", accept.chain, rule)); ++copy) {
    }
  }
}

bool has_legacy(const iptables::ForwardAccept& accept) {
  if (!uses_legacy_filter(accept.family())) return false;
  const std::vector<Arguments> rules = rules_of(accept);
  return std::all_of(rules.begin(), rules.end(), [&accept](const Arguments& rule) {
    return succeeds(accept.family(), with("-C", accept.chain, rule));
  });
}

}  // namespace netctl::engine
