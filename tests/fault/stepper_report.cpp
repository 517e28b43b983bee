#include "tests/fault/stepper_report.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include <linux/netlink.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <stdexcept>
#include <system_error>
#include <vector>

namespace netctl::stepper {
namespace {

const std::map<long, std::string>& names() {
#define NETCTL_NAME(name) \
  { SYS_##name, #name }
  static const std::map<long, std::string> table = {
      NETCTL_NAME(access),
      NETCTL_NAME(arch_prctl),
      NETCTL_NAME(bind),
      NETCTL_NAME(brk),
      NETCTL_NAME(chdir),
      NETCTL_NAME(chmod),
      NETCTL_NAME(clock_gettime),
      NETCTL_NAME(clone),
      NETCTL_NAME(clone3),
      NETCTL_NAME(close),
      NETCTL_NAME(connect),
      NETCTL_NAME(dup),
      NETCTL_NAME(dup2),
      NETCTL_NAME(dup3),
      NETCTL_NAME(execve),
      NETCTL_NAME(exit),
      NETCTL_NAME(exit_group),
      NETCTL_NAME(faccessat),
      NETCTL_NAME(faccessat2),
      NETCTL_NAME(fallocate),
      NETCTL_NAME(fchmod),
      NETCTL_NAME(fchmodat),
      NETCTL_NAME(fchown),
      NETCTL_NAME(fcntl),
      NETCTL_NAME(fdatasync),
      NETCTL_NAME(flock),
      NETCTL_NAME(fork),
      NETCTL_NAME(fstat),
      NETCTL_NAME(fstatfs),
      NETCTL_NAME(fsync),
      NETCTL_NAME(ftruncate),
      NETCTL_NAME(futex),
      NETCTL_NAME(getcwd),
      NETCTL_NAME(getdents64),
      NETCTL_NAME(getegid),
      NETCTL_NAME(geteuid),
      NETCTL_NAME(getgid),
      NETCTL_NAME(getpid),
      NETCTL_NAME(getppid),
      NETCTL_NAME(getrandom),
      NETCTL_NAME(getsockname),
      NETCTL_NAME(getsockopt),
      NETCTL_NAME(gettid),
      NETCTL_NAME(getuid),
      NETCTL_NAME(ioctl),
      NETCTL_NAME(kill),
      NETCTL_NAME(link),
      NETCTL_NAME(linkat),
      NETCTL_NAME(listen),
      NETCTL_NAME(lseek),
      NETCTL_NAME(lstat),
      NETCTL_NAME(madvise),
      NETCTL_NAME(mkdir),
      NETCTL_NAME(mkdirat),
      NETCTL_NAME(mmap),
      NETCTL_NAME(mprotect),
      NETCTL_NAME(mremap),
      NETCTL_NAME(msync),
      NETCTL_NAME(munmap),
      NETCTL_NAME(nanosleep),
      NETCTL_NAME(newfstatat),
      NETCTL_NAME(open),
      NETCTL_NAME(openat),
      NETCTL_NAME(pipe),
      NETCTL_NAME(pipe2),
      NETCTL_NAME(poll),
      NETCTL_NAME(ppoll),
      NETCTL_NAME(prctl),
      NETCTL_NAME(pread64),
      NETCTL_NAME(prlimit64),
      NETCTL_NAME(pwrite64),
      NETCTL_NAME(pwritev),
      NETCTL_NAME(read),
      NETCTL_NAME(readlink),
      NETCTL_NAME(readlinkat),
      NETCTL_NAME(readv),
      NETCTL_NAME(recvfrom),
      NETCTL_NAME(recvmsg),
      NETCTL_NAME(rename),
      NETCTL_NAME(renameat),
      NETCTL_NAME(rmdir),
      NETCTL_NAME(rseq),
      NETCTL_NAME(rt_sigaction),
      NETCTL_NAME(rt_sigprocmask),
      NETCTL_NAME(rt_sigreturn),
      NETCTL_NAME(sched_yield),
      NETCTL_NAME(sendmsg),
      NETCTL_NAME(sendto),
      NETCTL_NAME(set_robust_list),
      NETCTL_NAME(set_tid_address),
      NETCTL_NAME(setns),
      NETCTL_NAME(setsockopt),
      NETCTL_NAME(socket),
      NETCTL_NAME(stat),
      NETCTL_NAME(statfs),
      NETCTL_NAME(statx),
      NETCTL_NAME(symlink),
      NETCTL_NAME(sysinfo),
      NETCTL_NAME(tgkill),
      NETCTL_NAME(umask),
      NETCTL_NAME(uname),
      NETCTL_NAME(unlink),
      NETCTL_NAME(unlinkat),
      NETCTL_NAME(unshare),
      NETCTL_NAME(vfork),
      NETCTL_NAME(wait4),
      NETCTL_NAME(waitid),
      NETCTL_NAME(write),
      NETCTL_NAME(writev),
      NETCTL_NAME(clock_nanosleep),
      NETCTL_NAME(openat2),
      NETCTL_NAME(recvmmsg),
      NETCTL_NAME(sendmmsg),
      NETCTL_NAME(sched_getaffinity),
  };
#undef NETCTL_NAME
  return table;
}

// Index of the argument that holds a path or a descriptor, by syscall.
constexpr std::array<std::pair<long, int>, 15> kPathArgument = {{{SYS_openat, 1},
                                                                 {SYS_openat2, 1},
                                                                 {SYS_open, 0},
                                                                 {SYS_access, 0},
                                                                 {SYS_stat, 0},
                                                                 {SYS_lstat, 0},
                                                                 {SYS_newfstatat, 1},
                                                                 {SYS_mkdir, 0},
                                                                 {SYS_mkdirat, 1},
                                                                 {SYS_unlink, 0},
                                                                 {SYS_unlinkat, 1},
                                                                 {SYS_rename, 0},
                                                                 {SYS_readlink, 0},
                                                                 {SYS_execve, 0},
                                                                 {SYS_statfs, 0}}};
constexpr std::array<long, 14> kFileCalls = {
    SYS_read,  SYS_write,     SYS_pread64, SYS_pwrite64,  SYS_pwritev, SYS_writev, SYS_fdatasync,
    SYS_fsync, SYS_ftruncate, SYS_fcntl,   SYS_fallocate, SYS_close,   SYS_setns,  SYS_fstat};

std::vector<unsigned char> read_memory(pid_t process, unsigned long long address, std::size_t size) {
  std::vector<unsigned char> bytes(size);
  iovec local{bytes.data(), size};
  iovec remote{reinterpret_cast<void*>(address), size};  // NOLINT: an address in the other process
  const ssize_t got = process_vm_readv(process, &local, 1, &remote, 1, 0);
  bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return bytes;
}

template <typename Value>
Value read_value(pid_t process, unsigned long long address) {
  Value value{};
  const auto bytes = read_memory(process, address, sizeof value);
  if (bytes.size() == sizeof value) {
    std::memcpy(&value, bytes.data(), sizeof value);
  }
  return value;
}

std::string read_text(pid_t process, unsigned long long address) {
  // Strings at the end of a page: what follows may be unmapped, so ask for no more than the page holds.
  constexpr unsigned long long kPage = 4096;
  const auto bytes = read_memory(process, address, static_cast<std::size_t>(kPage - address % kPage));
  return {bytes.begin(), std::find(bytes.begin(), bytes.end(), 0)};
}

std::string file_behind(pid_t process, unsigned long long descriptor) {
  const auto link =
      "/proc/" + std::to_string(process) + "/fd/" + std::to_string(static_cast<int>(descriptor));
  std::array<char, 512> target{};
  const ssize_t length = readlink(link.c_str(), target.data(), target.size());
  return length > 0 ? std::string(target.data(), static_cast<std::size_t>(length)) : std::string{};
}

/// The netlink protocol of the process's socket, -1 when it is not a netlink socket.
int netlink_protocol(pid_t process, int descriptor) {
  const int handle = static_cast<int>(syscall(SYS_pidfd_open, process, 0));
  const int copy = static_cast<int>(syscall(SYS_pidfd_getfd, handle, descriptor, 0));
  int domain = -1;
  int protocol = -1;
  socklen_t size = sizeof domain;
  if (copy >= 0 && getsockopt(copy, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_NETLINK) {
    getsockopt(copy, SOL_SOCKET, SO_PROTOCOL, &protocol, &size);
  }
  close(copy);
  close(handle);
  return protocol;
}

std::string message_types(pid_t process, int descriptor, const std::vector<iovec>& parts) {
  const int protocol = netlink_protocol(process, descriptor);
  if (protocol < 0) {
    return {};
  }
  std::vector<unsigned char> datagram;
  for (const iovec& part : parts) {
    const auto bytes =
        read_memory(process, reinterpret_cast<unsigned long long>(part.iov_base), part.iov_len);
    datagram.insert(datagram.end(), bytes.begin(), bytes.end());
  }
  std::string text = protocol == NETLINK_ROUTE       ? "route:"
                     : protocol == NETLINK_NETFILTER ? "netfilter:"
                                                     : "netlink " + std::to_string(protocol) + ":";
  for (std::size_t at = 0; at + sizeof(nlmsghdr) <= datagram.size();) {
    nlmsghdr header{};
    std::memcpy(&header, datagram.data() + at, sizeof header);
    text += ' ' + std::to_string(header.nlmsg_type);
    at += std::max<std::size_t>(NLMSG_ALIGN(header.nlmsg_len), sizeof header);
  }
  return text;
}

std::string describe_send(const SyscallEntry& entry) {
  const int descriptor = static_cast<int>(entry.arguments[0]);
  if (entry.number == SYS_sendto) {
    iovec part{reinterpret_cast<void*>(entry.arguments[1]),
               entry.arguments[2]};  // NOLINT: the other's address
    return message_types(entry.process, descriptor, {part});
  }
  const auto header = read_value<msghdr>(entry.process, entry.arguments[1]);
  std::vector<iovec> parts;
  for (std::size_t i = 0; i < header.msg_iovlen && i < 64; ++i) {
    parts.push_back(read_value<iovec>(
        entry.process, reinterpret_cast<unsigned long long>(header.msg_iov) + i * sizeof(iovec)));
  }
  return message_types(entry.process, descriptor, parts);
}

std::string json_quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    const auto code = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else {
      quoted += code < 0x20 || code > 0x7e ? '?' : c;
    }
  }
  return quoted + '"';
}

}  // namespace

std::string syscall_name(long number) {
  const auto found = names().find(number);
  return found != names().end() ? found->second : "syscall_" + std::to_string(number);
}

std::string describe(const SyscallEntry& entry) {
  if (entry.number == SYS_sendto || entry.number == SYS_sendmsg) {
    return describe_send(entry);
  }
  const auto* const path =
      std::find_if(kPathArgument.begin(), kPathArgument.end(),
                   [&](const auto& candidate) { return candidate.first == entry.number; });
  if (path != kPathArgument.end()) {
    return read_text(entry.process, entry.arguments[path->second]);
  }
  if (std::find(kFileCalls.begin(), kFileCalls.end(), entry.number) != kFileCalls.end()) {
    return file_behind(entry.process, entry.arguments[0]);
  }
  return {};
}

Report::Report(const char* path) : file_(std::fopen(path, "we")) {
  if (file_ == nullptr) {
    throw std::system_error(errno, std::generic_category(), path);
  }
}

Report::~Report() { std::fclose(file_); }

void Report::syscall(const SyscallEntry& entry, bool hit) {
  std::fprintf(file_, "{\"n\":%u,\"pid\":%d,\"name\":%s,\"detail\":%s,\"hit\":%s}\n", entry.ordinal,
               entry.process, json_quoted(syscall_name(entry.number)).c_str(),
               json_quoted(describe(entry)).c_str(), hit ? "true" : "false");
}

void Report::end(int exit_code, int signal) {
  std::fprintf(file_, "{\"exit\":%d,\"signal\":%d}\n", exit_code, signal);
}

}  // namespace netctl::stepper
