#pragma once
// What the stepper tells about a run: one JSON object a line, so that the sweeps can derive phases from it.

#include <sys/types.h>

#include <cstdio>
#include <string>
#include <string_view>

namespace netctl::stepper {

/// A syscall at its entry: number in the run, process, kernel's number and the six arguments.
struct SyscallEntry {
  unsigned ordinal;
  pid_t process;
  long number;
  unsigned long long arguments[6];
};

/// Name of a syscall ("openat"), "syscall_N" for those that the table does not hold.
[[nodiscard]] std::string syscall_name(long number);

/// What is worth knowing about the call: a path, the file behind a descriptor, the message types of a netlink
/// datagram ("route: 16 20", "netfilter: 2572"). Read from the stopped process, empty when there is nothing to say.
[[nodiscard]] std::string describe(const SyscallEntry& entry);

/// Writes lines to the file at `path`; the program's own stdin, stdout and stderr are left alone.
class Report {
 public:
  explicit Report(const char* path);
  ~Report();
  Report(const Report&) = delete;
  Report& operator=(const Report&) = delete;

  void syscall(const SyscallEntry& entry, bool hit);
  /// `exit_code` is the program's; `signal` is 0 unless one ended it.
  void end(int exit_code, int signal);

 private:
  std::FILE* file_;
};

}  // namespace netctl::stepper
