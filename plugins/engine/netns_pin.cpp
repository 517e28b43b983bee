#include "plugins/engine/netns_pin.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>

#include "base/error.hpp"
#include "base/private_directory.hpp"
#include "netlink/netns_mount.hpp"
#include "plugins/engine/identity.hpp"

namespace netctl::engine {
namespace {

std::string folder_of(std::uint64_t host_cookie) {
  return runtime_directory() + "/netns-" + std::to_string(host_cookie);
}

std::string parent_of(const std::string& path) { return path.substr(0, path.find_last_of('/')); }

/// Another process may take the folders away with its last pin between any two steps.
void make_file(const std::string& path) {
  constexpr int kAttempts = 100;
  constexpr mode_t kPrivate = 0600;
  for (int attempt = 0;; ++attempt) {
    make_private_directory(runtime_directory(), "the runtime directory");
    try {
      make_private_directory(parent_of(path), "the runtime directory");
    } catch (const Error& error) {
      if (error.sys_errno() != ENOENT || attempt == kAttempts) throw;
      continue;
    }
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, kPrivate));
    if (file) return;
    if (errno != ENOENT || attempt == kAttempts) throw_errno("make " + path, errno, ErrorCode::kIo);
  }
}

}  // namespace

std::string runtime_directory() {
  const char* chosen = std::getenv("NETCTL_RUN_DIR");
  return chosen != nullptr && *chosen != '\0' ? chosen : "/run/netctl";
}

std::string pin_path(std::uint64_t host_cookie, const ipam::AttachmentKey& key) {
  return folder_of(host_cookie) + "/" + key_digest(key);
}

void pin(const std::string& path, const netlink::Netns& netns) {
  make_file(path);
  const auto mount = netlink::NetnsMount::find(path);
  if (!mount) throw Error(ErrorCode::kTryAgainLater, path + " vanished as it was being made; try again");
  if (mount->is_mounted()) mount->unmount();
  mount->bind(netns);
}

std::optional<netlink::Netns> pinned(const std::string& path) {
  const auto mount = netlink::NetnsMount::find(path);
  if (!mount || !mount->cookie()) return std::nullopt;
  return netlink::Netns::open(path);
}

void unpin(const std::string& path) {
  if (const auto mount = netlink::NetnsMount::find(path)) mount->unmount();
  if (::unlink(path.c_str()) != 0 && errno != ENOENT && errno != ENOTDIR) {
    throw_errno("remove " + path, errno, ErrorCode::kIo);
  }
  ::rmdir(parent_of(path).c_str());  // both stay while they hold anything
  ::rmdir(runtime_directory().c_str());
}

std::vector<std::string> list_pins(std::uint64_t host_cookie) {
  const std::string folder = folder_of(host_cookie);
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(::opendir(folder.c_str()), &::closedir);
  std::vector<std::string> paths;
  while (const dirent* entry = listing ? ::readdir(listing.get()) : nullptr) {
    const std::string name = static_cast<const char*>(entry->d_name);
    if (name != "." && name != "..") paths.push_back(folder + "/" + name);
  }
  return paths;
}

}  // namespace netctl::engine
