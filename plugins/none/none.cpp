// `none`, also installed as `loopback`: the container's loopback interface and nothing else. Keeps no records.
//
// As `loopback` it is one of several plugins that a runtime calls for a container, and looks at lo alone. As `none` it is
// all that the container gets, and CHECK sees to it that nothing else is there.

#include "plugins/none/none.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "base/error.hpp"
#include "netlink/address.hpp"
#include "netlink/link.hpp"
#include "plugins/none/namespace_access.hpp"

namespace netctl::none {
namespace {

constexpr const char* kLoopback = "lo";

netlink::Link find_loopback(engine::Container& container) {
  const auto link = netlink::find_link(container.route, kLoopback);
  if (link) return *link;
  throw Error(ErrorCode::kKernel,
              "the container's network namespace has no interface lo; it was removed by hand");
}

cni::Result add(const cni::Invocation& invocation) {
  engine::Container container = enter(invocation);
  const netlink::Link link = find_loopback(container);
  if (!link.up) container.route.transact(netlink::set_up(link.index));
  if (invocation.prev_result) return *invocation.prev_result;
  cni::Result result;
  cni::Interface loopback;
  loopback.name = kLoopback;
  loopback.mac = "00:00:00:00:00:00";
  loopback.sandbox = invocation.netns;
  result.interfaces = {loopback};
  for (const IpPrefix& address : netlink::list_addresses(container.route, link.index)) {
    if (address.address.is_loopback()) result.ips.push_back({address, std::nullopt, 0});
  }
  return result;
}

/// Nothing to undo: lo was there before, and through a shared namespace it may be somebody else's.
void del(const cni::Invocation&) {}

void require_loopback_up(engine::Container& container) {
  if (find_loopback(container).up) return;
  throw Error(ErrorCode::kDrift,
              "the container's loopback interface is down; run `ip link set lo up` inside, or ADD");
}

void check_loopback(const cni::Invocation& invocation) {
  engine::Container container = enter(invocation);
  require_loopback_up(container);
}

/// Once a tunnel module is loaded, the kernel makes one such device in every new namespace (net.core.fb_tunnels_only_for_
/// init_net). While it is down it connects nothing.
bool is_fallback_device(const netlink::Link& link) {
  using Device = std::pair<std::string_view, std::string_view>;
  constexpr std::array<Device, 9> kDevices{{{"tunl0", "ipip"},
                                            {"gre0", "gre"},
                                            {"gretap0", "gretap"},
                                            {"erspan0", "erspan"},
                                            {"ip_vti0", "vti"},
                                            {"ip6_vti0", "vti6"},
                                            {"sit0", "sit"},
                                            {"ip6tnl0", "ip6tnl"},
                                            {"ip6gre0", "ip6gre"}}};
  return !link.up && std::any_of(kDevices.begin(), kDevices.end(), [&link](const Device& device) {
    return link.name == device.first && link.kind == device.second;
  });
}

void check_none(const cni::Invocation& invocation) {
  engine::Container container = enter(invocation);
  require_loopback_up(container);
  std::string others;
  for (const netlink::Link& link : netlink::list_links(container.route)) {
    if (link.name == kLoopback || is_fallback_device(link)) continue;
    others += (others.empty() ? "" : ", ") + link.name;
  }
  if (others.empty()) return;
  throw Error(ErrorCode::kDrift,
              "the container has more than a loopback interface: " + others +
                  "; remove what was added to it, or give it a network on purpose",
              others);
}

}  // namespace

cni::Plugin plugin() {
  return {.name = "none",
          .about = "gives the container a loopback interface and nothing else",
          .add = add,
          .del = del,
          .check = check_none,
          .gc = {},
          .status = {},
          .undo_add = del,
          .plan = {}};
}

cni::Plugin loopback_plugin() {
  cni::Plugin loopback = plugin();
  loopback.name = "loopback";
  loopback.about = "sets the container's loopback interface up";
  loopback.check = check_loopback;
  return loopback;
}

}  // namespace netctl::none
