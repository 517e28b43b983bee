#pragma once
// The place where a runtime binds a network namespace: an empty file with an nsfs mount on it. Which namespace is mounted
// there decides what a container that has yet to start will live in.

#include <cstdint>
#include <optional>
#include <string>

#include "base/unique_fd.hpp"
#include "netlink/netns.hpp"

namespace netctl::netlink {

/// The folder is held by descriptor and the last name is never followed, so that nothing that happens to the path in
/// between can lead elsewhere. Everything acts in the mount namespace of the caller, and reaches those that share the
/// folder's mount (mount propagation) as the runtime's own mounts do. Holds nothing open in the mount itself.
class NetnsMount {
 public:
  /// Symbolic links are followed up to the file that carries the mount. nullopt when there is no such file, which is also
  /// what /proc/PID/ns/net comes to. Errors: kInvalidNetns when the path cannot be looked at.
  [[nodiscard]] static std::optional<NetnsMount> find(const std::string& path);

  /// Is anything mounted there? (STATX_ATTR_MOUNT_ROOT, Linux 5.8)
  [[nodiscard]] bool is_mounted() const;
  /// SO_NETNS_COOKIE of the network namespace that is mounted there; nullopt when none is.
  [[nodiscard]] std::optional<std::uint64_t> cookie() const;

  /// Mounts `netns` on the file. Errors: kKernel; kInvalidNetns when something is mounted there already, or it is no
  /// ordinary file: nothing is ever stacked.
  void bind(const Netns& netns) const;
  /// Takes the topmost mount away, also when somebody holds a file of it open (MNT_DETACH). Success when nothing is mounted.
  void unmount() const;
  /// unmount() and bind(). When that fails `before` stands there again, as it did.
  void replace(const Netns& netns, const Netns& before) const;

 private:
  NetnsMount(UniqueFd folder, std::string name) : folder_(std::move(folder)), name_(std::move(name)) {}
  [[nodiscard]] std::string path() const;
  void put(const Netns& netns) const;

  UniqueFd folder_;
  std::string name_;
};

}  // namespace netctl::netlink
