// A plugin whose ADD does what the key "behave" of its configuration says.

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <new>
#include <stdexcept>

#include "plugins/cni/plugin.hpp"

namespace {

using netctl::cni::Invocation;
using netctl::cni::Result;

void say(const std::string& text) {
  if (::write(STDERR_FILENO, text.data(), text.size()) < 0) std::abort();
}

nlohmann::json open_descriptors() {
  nlohmann::json numbers = nlohmann::json::array();
  DIR* folder = ::opendir("/proc/self/fd");
  while (const dirent* entry = ::readdir(folder)) {
    const int number = std::atoi(entry->d_name);
    if (entry->d_name[0] != '.' && number != ::dirfd(folder)) numbers.push_back(number);
  }
  ::closedir(folder);
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

nlohmann::json blocked_signals() {
  sigset_t mask{};
  ::sigprocmask(SIG_SETMASK, nullptr, &mask);
  nlohmann::json blocked = nlohmann::json::array();
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGPIPE}) {
    if (::sigismember(&mask, signal) == 1) blocked.push_back(signal);
  }
  return blocked;
}

Result add(const Invocation& invocation) {
  const std::string behaviour = invocation.config.value("behave", "well");
  if (behaviour == "throw") throw std::runtime_error("unforeseen");
  if (behaviour == "exhaust memory") throw std::bad_alloc();
  if (behaviour == "terminate") std::terminate();
  if (behaviour == "abort") std::abort();
  if (behaviour == "crash") ::raise(SIGSEGV);
  if (behaviour == "bus error") ::raise(SIGBUS);
  if (behaviour == "be ended") {
    for (const int signal : {SIGTERM, SIGINT, SIGHUP}) ::kill(::getpid(), signal);
  }
  Result result;
  result.netctl = {{"open", open_descriptors()}, {"blocked", blocked_signals()}};
  return result;
}

}  // namespace

int main(int argc, char** argv) {
  netctl::cni::Plugin plugin;
  plugin.name = "misbehaving";
  plugin.about = "Does what its configuration says.";
  plugin.add = add;
  plugin.undo_add = [](const Invocation&) { say("taken back\n"); };
  return netctl::cni::run_process(plugin, argc, argv);
}
