#pragma once
// Byte-range locks on one file ("open file description" locks: they belong to the descriptor, are inherited by nobody
// because it is close-on-exec, and vanish with the process however it dies).
//
// Lock matrix of the product, in the order in which locks may be taken. Never take an earlier one while holding a later.
//   attachment  exclusive  ADD, DEL, CHECK of one (network, container, ifname); GC (does not wait)
//   network     exclusive  making, mending or removing what a network shares: bridge, chains, sysctls
//   table       shared     batches that add or delete elements          exclusive  making, rebuilding, removing the table
//   store       exclusive  one transaction (0.1 ms)         shared     reading

#include <chrono>
#include <cstdint>
#include <string>

#include "base/unique_fd.hpp"

namespace netctl {

enum class LockMode { kShared, kExclusive };

class LockFile;

/// A held lock; released by the destructor or release().
class HeldLock {
 public:
  HeldLock() = default;
  explicit operator bool() const noexcept { return static_cast<bool>(fd_); }
  void release() noexcept { fd_.reset(); }

 private:
  friend class LockFile;
  explicit HeldLock(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;  // a description of its own: locks of one description never conflict with each other
};

/// The file that carries the locks. Its content is never read or written.
class LockFile {
 public:
  /// Creates the file with mode 0600 when it is missing. Errors: kIo.
  explicit LockFile(std::string path);

  /// Waits at most `patience` for the byte at `offset` (below 2^62). `what` names it for the user.
  /// Errors: kTryAgainLater when the wait ended without it; kIo.
  [[nodiscard]] HeldLock lock(std::uint64_t offset, LockMode mode, std::chrono::milliseconds patience,
                              const std::string& what) const;
  /// Does not wait; an empty HeldLock when somebody holds it.
  [[nodiscard]] HeldLock try_lock(std::uint64_t offset, LockMode mode) const;

 private:
  [[nodiscard]] UniqueFd open_description() const;
  std::string path_;
};

}  // namespace netctl
