#pragma once
// The one error type of the product. Everything that can go wrong becomes an Error; it is turned into CNI's error JSON
// (plugins/cni) or into a line on stderr (netctl) at one place, the outermost one.

#include <cerrno>
#include <exception>
#include <string>
#include <string_view>

namespace netctl {

/// Numbers go on the wire. 1..99 belong to the CNI specification (SPEC.md section 5), 100 and up are ours.
enum class ErrorCode : unsigned {
  kIncompatibleVersion = 1,
  kUnsupportedField = 2,
  kUnknownContainer = 3,
  kInvalidEnvironment = 4,
  kIo = 5,
  kDecode = 6,
  kInvalidConfig = 7,
  kInvalidNetns = 8,
  kTryAgainLater = 11,
  kNotAvailable = 50,
  kLimitedConnectivity = 51,
  kKernel = 100,
  kNoFreeAddress = 101,
  kAddressTaken = 102,
  kPortTaken = 103,
  kInterfaceTaken = 104,
  kAlreadyAttached = 105,
  kStoreDamaged = 106,
  kDrift = 107,
  kDelegate = 108,
  kSubnetUnavailable = 109,
  kInternal = 999,
};

/// A failure that reaches the user: `message` is one clear sentence that says what to do, `details` the kernel's own
/// words or the offending value, `sys_errno` the positive errno (0 when no system call was refused).
class Error : public std::exception {
 public:
  Error(ErrorCode code, std::string message, std::string details = {}, int sys_errno = 0)
      : code_(code), message_(std::move(message)), details_(std::move(details)), sys_errno_(sys_errno) {}

  [[nodiscard]] ErrorCode code() const noexcept { return code_; }
  [[nodiscard]] const std::string& message() const noexcept { return message_; }
  [[nodiscard]] const std::string& details() const noexcept { return details_; }
  [[nodiscard]] int sys_errno() const noexcept { return sys_errno_; }
  [[nodiscard]] const char* what() const noexcept override { return message_.c_str(); }

  /// Prepends what was being done: `error.in("create bridge br0")` reads "create bridge br0: <message>".
  [[nodiscard]] Error in(std::string_view doing) const;

 private:
  ErrorCode code_;
  std::string message_;
  std::string details_;
  int sys_errno_;
};

/// "No such file or directory" and the like, without the locale's help.
[[nodiscard]] std::string errno_text(int sys_errno);

/// Throws kKernel (or `code`) for a failed system call: "<doing>: <errno text>".
[[noreturn]] void throw_errno(std::string_view doing, int sys_errno = errno,
                              ErrorCode code = ErrorCode::kKernel);

}  // namespace netctl
