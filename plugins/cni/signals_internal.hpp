#pragma once
// A plugin is not ended in the middle of its work, and says something even when it crashes.

#include <csignal>

namespace netctl::cni {

/// Blocks TERM, INT, HUP and PIPE while it lives. May be nested.
class BlockedSignals {
 public:
  BlockedSignals() noexcept;
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;
  ~BlockedSignals();

 private:
  sigset_t before_{};
  bool is_outermost_;
};

/// The same, until the process is gone.
void block_signals_for_good() noexcept;

/// The mask as it was before the outermost BlockedSignals: what a program that we start must get.
[[nodiscard]] sigset_t mask_for_children() noexcept;

/// std::terminate and the fatal signals print an error object of code 999 on stdout, unless something was printed there
/// already. Fatal signals then end the process as they always do (core dumps, sanitizers' handlers stay).
void answer_crashes() noexcept;

/// From now on a crash prints nothing: stdout carries at most one document.
void note_stdout_is_used() noexcept;

}  // namespace netctl::cni
