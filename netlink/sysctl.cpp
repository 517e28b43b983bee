#include "netlink/sysctl.hpp"

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <linux/magic.h>
#include <linux/openat2.h>

#include <array>

#include "base/error.hpp"
#include "base/unique_fd.hpp"

namespace netctl::netlink {
namespace {

// Opened anew for each call: what stands below /proc/sys/net depends on the namespace the thread is in.
UniqueFd open_root() {
  UniqueFd root(::open("/proc/sys/net", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!root) throw_errno("could not open /proc/sys/net (is /proc mounted?)");
  struct statfs file_system {};
  if (::fstatfs(root.get(), &file_system) != 0) throw_errno("could not inspect /proc/sys/net");
  if (file_system.f_type != PROC_SUPER_MAGIC) {
    throw Error(ErrorCode::kKernel,
                "/proc/sys/net is not the kernel's: something else is mounted over /proc");
  }
  return root;
}

/// An empty descriptor when there is no such key.
UniqueFd open_key(const UniqueFd& root, const std::string& path, int flags) {
  open_how how{};
  how.flags = static_cast<unsigned>(flags | O_CLOEXEC | O_NOCTTY);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;
  UniqueFd key;
  do {
    key = UniqueFd(static_cast<int>(::syscall(SYS_openat2, root.get(), path.c_str(), &how, sizeof how)));
  } while (!key && (errno == EINTR ||
                    errno == EAGAIN));  // EAGAIN: a rename somewhere made the walk unsafe, walk again
  if (!key && errno != ENOENT && errno != ENOTDIR) throw_errno("could not open the sysctl net/" + path);
  return key;
}

std::string read_key(const UniqueFd& key, const std::string& path) {
  std::array<char, 4096> text{};
  const ssize_t size = ::pread(key.get(), text.data(), text.size(), 0);
  if (size < 0) throw_errno("could not read the sysctl net/" + path);
  std::string value(text.data(), static_cast<std::size_t>(size));
  while (!value.empty() && value.back() == '\n') value.pop_back();
  return value;
}

std::optional<std::string> write_below(const UniqueFd& root, const std::string& path,
                                       const std::string& value) {
  // Read first with a descriptor that cannot write: where /proc/sys is read-only and the value is right, all is well.
  const UniqueFd readable = open_key(root, path, O_RDONLY);
  if (!readable) return std::nullopt;
  std::string before = read_key(readable, path);
  if (before == value) return before;
  const UniqueFd key = open_key(root, path, O_WRONLY);
  if (!key) return std::nullopt;
  if (::pwrite(key.get(), value.data(), value.size(), 0) != static_cast<ssize_t>(value.size())) {
    throw_errno("could not set the sysctl net/" + path + " to \"" + value + "\"");
  }
  return before;
}

}  // namespace

std::optional<std::string> read_sysctl(const std::string& path) {
  const UniqueFd key = open_key(open_root(), path, O_RDONLY);
  if (!key) return std::nullopt;
  return read_key(key, path);
}

std::optional<std::string> write_sysctl(const std::string& path, const std::string& value) {
  return write_below(open_root(), path, value);
}

void write_sysctls(const std::vector<std::pair<std::string, std::string>>& sysctls) {
  if (sysctls.empty()) return;
  const UniqueFd root = open_root();
  for (const auto& [path, value] : sysctls) write_below(root, path, value);
}

}  // namespace netctl::netlink
