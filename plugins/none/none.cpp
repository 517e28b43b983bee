// `none`, also installed as `loopback`: the container's loopback interface and nothing else. Keeps no records.

#include "plugins/none/none.hpp"

#include "base/error.hpp"
#include "netlink/address.hpp"
#include "netlink/link.hpp"
#include "plugins/engine/host.hpp"

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
  engine::Container container = engine::Container::enter(invocation.netns, invocation.netns_override);
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

void check(const cni::Invocation& invocation) {
  engine::Container container = engine::Container::enter(invocation.netns, invocation.netns_override);
  if (!find_loopback(container).up) {
    throw Error(ErrorCode::kDrift,
                "the container's loopback interface is down; run `ip link set lo up` inside, or ADD");
  }
}

}  // namespace

cni::Plugin plugin() {
  return {.name = "none",
          .about = "gives the container a loopback interface and nothing else",
          .add = add,
          .del = del,
          .check = check,
          .gc = {},
          .status = {},
          .undo_add = del,
          .plan = {}};
}

}  // namespace netctl::none
