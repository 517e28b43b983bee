#include "plugins/engine/host.hpp"

#include <sys/stat.h>

#include <ctime>

#include "base/error.hpp"

namespace netctl::engine {

Host Host::open() {
  netlink::Socket route = netlink::Socket::open(netlink::Bus::kRoute);
  const std::uint64_t cookie = route.netns_cookie();
  ipam::Store live = ipam::Store::open_live(ipam::Store::default_directory(), cookie);
  return {std::move(route), cookie, std::move(live)};
}

netlink::Socket& Host::netfilter() {
  if (!netfilter_) netfilter_ = netlink::Socket::open(netlink::Bus::kNetfilter);
  return *netfilter_;
}

ipam::Store& Host::durable() {
  if (!durable_) durable_ = ipam::Store::open_durable(ipam::Store::default_directory());
  return *durable_;
}

ipam::Store* Host::durable_if_present() {
  if (!durable_) durable_ = ipam::Store::open_durable_if_present(ipam::Store::default_directory());
  return durable_ ? &*durable_ : nullptr;
}

Container Container::enter(const std::string& path, bool allow_own) {
  netlink::Netns netns = netlink::Netns::open(path);
  if (!allow_own && netns.is_same_as(netlink::Netns::current())) {
    throw Error(ErrorCode::kInvalidNetns,
                "CNI_NETNS names the network namespace that the plugin itself runs in; pass the container's "
                "namespace, "
                "or set CNI_NETNS_OVERRIDE=1 if this is meant",
                path);
  }
  std::optional<netlink::Socket> route;
  netns.run([&route] { route = netlink::Socket::open(netlink::Bus::kRoute); });
  const std::uint64_t cookie = route->netns_cookie();
  return {std::move(netns), std::move(*route), cookie};
}

std::int64_t boot_nanoseconds() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

std::int64_t wall_seconds() { return ::time(nullptr); }

std::string mount_namespace() {
  struct stat status {};
  if (::stat("/proc/self/ns/mnt", &status) != 0) return {};
  return std::to_string(status.st_ino);
}

}  // namespace netctl::engine
