#include <unistd.h>

#include <array>
#include <exception>
#include <string_view>

#include "plugins/cni/signals_internal.hpp"

namespace netctl::cni {
namespace {

struct {
  sigset_t mask;
  bool is_saved;
} mask_before_all;  // of the process, as signal masks are

volatile std::sig_atomic_t stdout_is_used = 0;

constexpr std::array kFatalSignals{SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL};

constexpr std::string_view kCrashAnswer =
    "{\"cniVersion\":\"1.1.0\",\"code\":999,\"msg\":\"the plugin crashed, which is a defect of netctl: DEL "
    "removes what "
    "it had begun\",\"details\":\"\"}\n";

// Async-signal-safe, and needs no memory.
void print_crash_answer() noexcept {
  if (stdout_is_used != 0) return;
  stdout_is_used = 1;
  const auto written = ::write(STDOUT_FILENO, kCrashAnswer.data(), kCrashAnswer.size());
  static_cast<void>(written);  // nobody is left to be told
}

extern "C" void on_fatal_signal(int signal) {
  print_crash_answer();
  ::raise(signal);  // its default action again (SA_RESETHAND), as soon as this handler returns
}

[[noreturn]] void on_terminate() {
  print_crash_answer();
  ::_exit(1);
}

/// True when nobody had blocked them before.
bool block(sigset_t& before) noexcept {
  sigset_t blocked{};
  sigemptyset(&blocked);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGPIPE}) sigaddset(&blocked, signal);
  pthread_sigmask(SIG_BLOCK, &blocked, &before);
  if (mask_before_all.is_saved) return false;
  mask_before_all = {before, true};
  return true;
}

}  // namespace

BlockedSignals::BlockedSignals() noexcept : is_outermost_(block(before_)) {}

BlockedSignals::~BlockedSignals() {
  if (sigismember(&before_, SIGPIPE) == 0) {
    // A failed write has already been reported as such.
    sigset_t pipe{};
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    const timespec at_once{};
    sigtimedwait(&pipe, nullptr, &at_once);
  }
  if (is_outermost_) mask_before_all.is_saved = false;
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

void block_signals_for_good() noexcept {
  sigset_t before{};
  block(before);
}

sigset_t mask_for_children() noexcept {
  if (mask_before_all.is_saved) return mask_before_all.mask;
  sigset_t current{};
  pthread_sigmask(SIG_SETMASK, nullptr, &current);
  return current;
}

void answer_crashes() noexcept {
  std::set_terminate(on_terminate);
  for (const int signal : kFatalSignals) {
    struct sigaction ours {};
    ours.sa_handler = on_fatal_signal;
    ours.sa_flags = static_cast<int>(SA_RESETHAND);
    struct sigaction before {};
    if (::sigaction(signal, &ours, &before) == 0 && before.sa_handler != SIG_DFL) {
      ::sigaction(signal, &before, nullptr);
    }
  }
}

void note_stdout_is_used() noexcept { stdout_is_used = 1; }

}  // namespace netctl::cni
