// stepper: runs a program under ptrace, numbers every syscall that it and its children enter, and does harm at one of
// them. Two stops a syscall and nothing printed while it runs, so a sweep over hundreds of syscalls takes seconds.
//
//   stepper REPORT count            PROGRAM [ARGUMENT...]   only lists
//   stepper REPORT kill K           PROGRAM ...             SIGKILL at the entry of syscall K: it takes no effect
//   stepper REPORT kill-after K     PROGRAM ...             SIGKILL at its exit: it took effect, nobody saw the answer
//   stepper REPORT fail K ERRNO     PROGRAM ...             syscall K answers -ERRNO and takes no effect
//   stepper REPORT fail-after K ERRNO PROGRAM ...           syscall K takes effect and answers -ERRNO all the same
//
// K is the number of the syscall in the whole run, or NAME#K: the K-th call of that name (a run may differ from the next
// in how often it grows its heap).
//
// stdin, stdout, stderr and the environment are the program's. The exit status is the program's, 128 + signal when one
// ended it, 125 when the stepper itself failed.

#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/ptrace.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <string>
#include <system_error>

#include "tests/fault/stepper_report.hpp"

#ifndef __x86_64__
#error "stepper writes x86-64 registers; add the other machine's register names here"
#endif

namespace netctl::stepper {
namespace {

enum class Harm { kNone, kKill, kKillAfter, kFail, kFailAfter };

struct Orders {
  const char* report = nullptr;
  Harm harm = Harm::kNone;
  unsigned ordinal = 0;  // 1 is the first syscall after the program's execve
  std::string name;      // empty: of any name
  int error_number = 0;
  char** program = nullptr;
};

constexpr long kOptions = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                          PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
constexpr int kSyscallStop = SIGTRAP | 0x80;

// glibc declares the request as an enum in C++ and the rest as varargs; one place casts.
long trace(int request, pid_t process, void* address, void* data) {
  return ptrace(static_cast<__ptrace_request>(request), process, address, data);
}

void* as_pointer(long value) {
  return reinterpret_cast<void*>(value);
}  // NOLINT: ptrace's calling convention

class Stepper {
 public:
  explicit Stepper(const Orders& orders) : orders_(orders), report_(orders.report) {}

  int run() {
    const pid_t child = fork();
    if (child < 0) {
      throw std::system_error(errno, std::generic_category(), "fork");
    }
    if (child == 0) {
      trace(PTRACE_TRACEME, 0, nullptr, nullptr);
      std::raise(SIGSTOP);
      execv(orders_.program[0], orders_.program);
      std::cerr << "stepper: cannot run " << orders_.program[0] << '\n';
      _exit(125);
    }
    main_process_ = child;
    int status = 0;
    waitpid(child, &status, 0);
    if (trace(PTRACE_SETOPTIONS, child, nullptr, as_pointer(kOptions)) != 0) {
      throw std::system_error(errno, std::generic_category(), "PTRACE_SETOPTIONS");
    }
    resume(child, 0);
    return follow();
  }

 private:
  int follow() {
    int result = 125;
    for (;;) {
      int status = 0;
      const pid_t process = waitpid(-1, &status, __WALL);
      if (process < 0) {
        return result;  // ECHILD: the last one is gone
      }
      if (WIFEXITED(status) || WIFSIGNALED(status)) {
        if (process == main_process_) {
          const int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
          report_.end(WIFEXITED(status) ? WEXITSTATUS(status) : -1, signal);
          result = signal != 0 ? 128 + signal : WEXITSTATUS(status);
        }
        continue;
      }
      handle_stop(process, status);
    }
  }

  void handle_stop(pid_t process, int status) {
    const int signal = WSTOPSIG(status);
    if (signal == kSyscallStop) {
      handle_syscall(process);
      return;
    }
    const int event = status >> 16;
    if (event != 0) {
      started_ = started_ || event == PTRACE_EVENT_EXEC;
      resume(process, 0);
      return;
    }
    // The first stop of a new child is ours and not the program's.
    resume(process, signal == SIGSTOP || signal == SIGTRAP ? 0 : signal);
  }

  void handle_syscall(pid_t process) {
    ptrace_syscall_info info{};
    const long got = trace(PTRACE_GET_SYSCALL_INFO, process, as_pointer(sizeof info), &info);
    if (got > 0 && info.op == PTRACE_SYSCALL_INFO_ENTRY && started_) {
      enter(process, info);
    } else if (got > 0 && info.op == PTRACE_SYSCALL_INFO_EXIT && process == harmed_process_) {
      leave(process);
    }
    resume(process, 0);
  }

  void enter(pid_t process, const ptrace_syscall_info& info) {
    SyscallEntry entry{++count_, process, static_cast<long>(info.entry.nr), {}};
    for (int i = 0; i < 6; ++i) {
      entry.arguments[i] = info.entry.args[i];
    }
    const bool counts = orders_.name.empty() || orders_.name == syscall_name(entry.number);
    candidates_ += counts ? 1 : 0;
    const bool hit = orders_.harm != Harm::kNone && counts && candidates_ == orders_.ordinal;
    report_.syscall(entry, hit);
    if (!hit) {
      return;
    }
    if (orders_.harm == Harm::kKill || orders_.harm == Harm::kFail) {
      // No such syscall: the kernel answers ENOSYS without doing anything.
      user_regs_struct registers = read_registers(process);
      registers.orig_rax = static_cast<unsigned long long>(-1);
      write_registers(process, registers);
    }
    if (orders_.harm == Harm::kKill) {
      kill(process, SIGKILL);
      return;
    }
    harmed_process_ = process;
  }

  void leave(pid_t process) {
    harmed_process_ = 0;
    if (orders_.harm == Harm::kKillAfter) {
      kill(process, SIGKILL);
      return;
    }
    user_regs_struct registers = read_registers(process);
    registers.rax = static_cast<unsigned long long>(-static_cast<long long>(orders_.error_number));
    write_registers(process, registers);
  }

  static user_regs_struct read_registers(pid_t process) {
    user_regs_struct registers{};
    if (trace(PTRACE_GETREGS, process, nullptr, &registers) != 0) {
      throw std::system_error(errno, std::generic_category(), "PTRACE_GETREGS");
    }
    return registers;
  }

  static void write_registers(pid_t process, user_regs_struct registers) {
    if (trace(PTRACE_SETREGS, process, nullptr, &registers) != 0) {
      throw std::system_error(errno, std::generic_category(), "PTRACE_SETREGS");
    }
  }

  // A process that was just killed cannot be resumed; its end is reported by waitpid.
  static void resume(pid_t process, int signal) {
    if (trace(PTRACE_SYSCALL, process, nullptr, as_pointer(signal)) != 0 && errno != ESRCH) {
      throw std::system_error(errno, std::generic_category(), "PTRACE_SYSCALL");
    }
  }

  Orders orders_;
  Report report_;
  pid_t main_process_ = 0;
  pid_t harmed_process_ = 0;
  unsigned count_ = 0;
  unsigned candidates_ = 0;  // calls that the orders count
  bool started_ = false;
};

Orders parse(int argc, char** argv) {
  const auto missing = [] {
    return std::invalid_argument("usage: stepper REPORT MODE [K [ERRNO]] PROGRAM ...");
  };
  if (argc < 4) {
    throw missing();
  }
  Orders orders;
  orders.report = argv[1];
  const std::string mode = argv[2];
  int next = 3;
  if (mode != "count") {
    orders.harm = mode == "kill"         ? Harm::kKill
                  : mode == "kill-after" ? Harm::kKillAfter
                  : mode == "fail"       ? Harm::kFail
                  : mode == "fail-after" ? Harm::kFailAfter
                                         : throw std::invalid_argument("stepper: unknown mode " + mode);
    const std::string which = argv[next++];
    const std::size_t separator = which.find('#');
    orders.name = separator == std::string::npos ? "" : which.substr(0, separator);
    orders.ordinal = static_cast<unsigned>(
        std::stoul(separator == std::string::npos ? which : which.substr(separator + 1)));
  }
  if (orders.harm == Harm::kFail || orders.harm == Harm::kFailAfter) {
    orders.error_number = next < argc ? std::stoi(argv[next++]) : 0;
  }
  if (next >= argc) {
    throw missing();
  }
  orders.program = argv + next;
  return orders;
}

}  // namespace
}  // namespace netctl::stepper

int main(int argc, char** argv) {
  try {
    return netctl::stepper::Stepper(netctl::stepper::parse(argc, argv)).run();
  } catch (const std::exception& error) {
    std::cerr << "stepper: " << error.what() << '\n';
    return 125;
  }
}
