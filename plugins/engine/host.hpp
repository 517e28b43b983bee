#pragma once

#include <memory>
#include <optional>
#include <string>

#include "ipam/store.hpp"
#include "netlink/netns.hpp"
#include "netlink/socket.hpp"

namespace netctl::engine {

/// The host side of one operation: sockets in the namespace that the process was started in, and the stores. What not every
/// operation needs is opened when it is asked for.
class Host {
 public:
  /// Errors: kKernel, and those of Store::open_live.
  [[nodiscard]] static Host open();

  [[nodiscard]] netlink::Socket& route() { return route_; }
  [[nodiscard]] netlink::Socket& netfilter();
  [[nodiscard]] ipam::Store& live() { return live_; }
  /// Creates it when it is missing.
  [[nodiscard]] ipam::Store& durable();
  /// nullptr when there is none yet; creates nothing.
  [[nodiscard]] ipam::Store* durable_if_present();
  [[nodiscard]] std::uint64_t netns_cookie() const { return cookie_; }

 private:
  Host(netlink::Socket route, std::uint64_t cookie, ipam::Store live)
      : route_(std::move(route)), cookie_(cookie), live_(std::move(live)) {}
  netlink::Socket route_;
  std::uint64_t cookie_;
  ipam::Store live_;
  std::optional<netlink::Socket> netfilter_;
  std::optional<ipam::Store> durable_;
};

/// A container's namespace while an operation works in it.
struct Container {
  netlink::Netns netns;
  netlink::Socket route;
  std::uint64_t cookie = 0;

  /// Errors: kInvalidNetns, also when it is the caller's own namespace and `allow_own` is false: checked before anything is
  /// touched.
  [[nodiscard]] static Container enter(const std::string& path, bool allow_own);
};

/// CLOCK_BOOTTIME and Unix time.
[[nodiscard]] std::int64_t boot_nanoseconds();
[[nodiscard]] std::int64_t wall_seconds();
/// Identifies the mount namespace of this process: a path that is missing proves something only in the one it was seen in.
[[nodiscard]] std::string mount_namespace();

}  // namespace netctl::engine
