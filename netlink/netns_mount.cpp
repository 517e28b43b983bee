#include "netlink/netns_mount.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <linux/stat.h>

#include <cstdlib>
#include <memory>

#include "base/error.hpp"

namespace netctl::netlink {
namespace {

std::string descriptor_path(int fd) { return "/proc/self/fd/" + std::to_string(fd); }

bool is_missing(int sys_errno) { return sys_errno == ENOENT || sys_errno == ENOTDIR || sys_errno == ESRCH; }

}  // namespace

std::optional<NetnsMount> NetnsMount::find(const std::string& path) {
  const std::unique_ptr<char, void (*)(void*)> resolved(::realpath(path.c_str(), nullptr), std::free);
  if (!resolved) {
    if (is_missing(errno)) return std::nullopt;
    throw_errno("could not follow \"" + path + "\"", errno, ErrorCode::kInvalidNetns);
  }
  const std::string real = resolved.get();
  const std::size_t slash = real.find_last_of('/');
  UniqueFd folder(::open(slash == 0 ? "/" : real.substr(0, slash).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!folder) {
    if (is_missing(errno)) return std::nullopt;
    throw_errno("could not open the folder of \"" + path + "\"", errno, ErrorCode::kInvalidNetns);
  }
  return NetnsMount(std::move(folder), real.substr(slash + 1));
}

std::string NetnsMount::path() const { return descriptor_path(folder_.get()) + "/" + name_; }

bool NetnsMount::is_mounted() const {
  struct ::statx status {};
  const int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT;
  if (::statx(folder_.get(), name_.c_str(), flags, STATX_TYPE, &status) != 0) {
    if (is_missing(errno)) return false;
    throw_errno("could not look at \"" + name_ + "\"");
  }
  return (status.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

std::optional<std::uint64_t> NetnsMount::cookie() const {
  if (!is_mounted()) return std::nullopt;
  try {
    return Netns::open(path()).cookie();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInvalidNetns) throw;
    return std::nullopt;
  }
}

void NetnsMount::put(const Netns& netns) const {
  const UniqueFd file(::openat(folder_.get(), name_.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!file) throw_errno("could not open \"" + name_ + "\" to mount a namespace on it");
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) throw_errno("could not look at \"" + name_ + "\"");
  if (!S_ISREG(status.st_mode)) {
    throw Error(ErrorCode::kInvalidNetns, "\"" + name_ + "\" is no ordinary file any more; it was exchanged");
  }
  const std::string source = descriptor_path(netns.fd());
  if (::mount(source.c_str(), descriptor_path(file.get()).c_str(), nullptr, MS_BIND, nullptr) != 0) {
    throw_errno("could not mount a network namespace on \"" + name_ + "\" (CAP_SYS_ADMIN is needed)");
  }
}

void NetnsMount::bind(const Netns& netns) const {
  if (is_mounted()) {
    throw Error(ErrorCode::kInvalidNetns, "on \"" + name_ +
                                              "\" several mounts are stacked; unmount what is not the "
                                              "container's, or give it another path");
  }
  put(netns);
}

void NetnsMount::unmount() const {
  if (::umount2(path().c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) return;
  if (errno == EINVAL || is_missing(errno)) return;  // nothing is mounted there, or nothing is there at all
  throw_errno("could not unmount the network namespace on \"" + name_ + "\"");
}

void NetnsMount::replace(const Netns& netns, const Netns& before) const {
  unmount();
  try {
    bind(netns);
  } catch (const Error&) {
    put(before);  // on top of a stack, too: as it was
    throw;
  }
}

}  // namespace netctl::netlink
