#include "netlink/netns.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <linux/magic.h>
#include <linux/nsfs.h>

#include <cstdlib>

#include "base/error.hpp"

namespace netctl::netlink {
namespace {

// Since Linux 5.6; <sched.h> of older C libraries does not have it.
constexpr int kCloneNewTime = 0x00000080;

[[noreturn]] void refuse(const std::string& path, const std::string& why, int sys_errno = 0) {
  constexpr std::size_t kReadable = 256;
  const std::string shown = path.size() <= kReadable ? path : path.substr(0, kReadable) + "...";
  throw Error(ErrorCode::kInvalidNetns, "\"" + shown + "\" is not a network namespace: " + why, shown,
              sys_errno);
}

std::string why_not_opened(int sys_errno) {
  switch (sys_errno) {
    case ENOENT:
      return "there is no such file; the container may be gone, or the path belongs to another mount "
             "namespace";
    case ENOTDIR:
      return "a part of the path is not a directory";
    case ELOOP:
      return "the path runs in a circle of symbolic links";
    case ENAMETOOLONG:
      return "the path is too long";
    case EACCES:
    case EPERM:
      return "access is denied; root's rights over that process or path are needed";
    case ENXIO:
      return "it is a socket or a device without a driver";
    default:
      return errno_text(sys_errno);
  }
}

std::string kind_of_file(mode_t mode) {
  if (S_ISDIR(mode)) return "it is a directory";
  if (S_ISFIFO(mode)) return "it is a FIFO";
  if (S_ISCHR(mode)) return "it is a character device";
  if (S_ISBLK(mode)) return "it is a block device";
  return "it is an ordinary file; a namespace that was bound there has been unmounted";
}

std::string kind_of_namespace(int type) {
  switch (type) {
    case CLONE_NEWNS:
      return "mount";
    case CLONE_NEWUTS:
      return "UTS";
    case CLONE_NEWIPC:
      return "IPC";
    case CLONE_NEWPID:
      return "PID";
    case CLONE_NEWUSER:
      return "user";
    case CLONE_NEWCGROUP:
      return "cgroup";
    case kCloneNewTime:
      return "time";
    default:
      return "different";
  }
}

class ComeHome {
 public:
  explicit ComeHome(Netns home) : home_(std::move(home)) {}
  ComeHome(const ComeHome&) = delete;
  ComeHome& operator=(const ComeHome&) = delete;
  ~ComeHome() {
    constexpr int kAttempts = 3;  // memory may be short for a moment
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      if (::setns(home_.fd(), CLONE_NEWNET) == 0) return;
    }
    std::abort();
  }

 private:
  Netns home_;
};

struct stat status_of(int fd) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) throw_errno("could not inspect a network namespace");
  return status;
}

}  // namespace

Netns Netns::open(const std::string& path) {
  if (path.empty()) refuse(path, "the path is empty");
  const std::size_t nul = path.find('\0');
  if (nul != std::string::npos) refuse(path.substr(0, nul), "the path goes on behind a NUL character");
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd) refuse(path, why_not_opened(errno), errno);
  struct statfs file_system {};
  if (::fstatfs(fd.get(), &file_system) != 0) throw_errno("could not inspect \"" + path + "\"");
  if (file_system.f_type != NSFS_MAGIC) refuse(path, kind_of_file(status_of(fd.get()).st_mode));
  const int type = ::ioctl(fd.get(), NS_GET_NSTYPE);
  if (type < 0) throw_errno("could not read the type of the namespace \"" + path + "\"");
  if (type != CLONE_NEWNET) refuse(path, "it is a " + kind_of_namespace(type) + " namespace");
  return Netns(std::move(fd));
}

Netns Netns::current() {
  // Not /proc/self: that is the main thread's.
  UniqueFd fd(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!fd) throw_errno("could not open the current network namespace (is /proc mounted?)");
  return Netns(std::move(fd));
}

bool Netns::is_same_as(const Netns& other) const {
  const struct stat mine = status_of(fd());
  const struct stat theirs = status_of(other.fd());
  return mine.st_dev == theirs.st_dev && mine.st_ino == theirs.st_ino;
}

std::uint64_t Netns::cookie() const {
  std::uint64_t cookie = 0;
  run([&cookie] {
    // Any socket has the cookie of its namespace; this kind is the cheapest to make.
    const UniqueFd probe(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    socklen_t size = sizeof cookie;
    if (!probe || ::getsockopt(probe.get(), SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) != 0) {
      throw_errno("could not read the identity of the network namespace (Linux 5.14 or later is needed)");
    }
  });
  return cookie;
}

void Netns::run(const std::function<void()>& body) const {
  Netns home = current();
  if (::setns(fd(), CLONE_NEWNET) != 0) {
    throw_errno("could not enter the network namespace (CAP_SYS_ADMIN is needed)");
  }
  const ComeHome come_home(std::move(home));
  body();
}

}  // namespace netctl::netlink
