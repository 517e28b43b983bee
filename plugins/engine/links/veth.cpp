// What the two kinds of veth pairs share.

#include "base/error.hpp"
#include "netlink/link.hpp"
#include "plugins/engine/link_kinds.hpp"

namespace netctl::engine::links {
namespace {

/// The name is a hash of the identity: whoever holds it is what a crash of the same attachment left.
void delete_leftover(Host& host, const Plan& plan) {
  const auto leftover = netlink::find_link(host.route(), plan.link->host_ifname);
  if (leftover && leftover->kind == "veth") host.route().transact(netlink::delete_link(leftover->index));
}

}  // namespace

void make_veth(Host& host, Container& container, const Plan& plan, std::uint32_t master_index) {
  netlink::VethSpec spec;
  spec.host_name = plan.link->host_ifname;
  spec.host_mac = plan.link->host_mac;
  spec.master_index = master_index;
  spec.mtu_bytes = plan.link->mtu_bytes;
  spec.container_name = plan.link->container_ifname;
  spec.container_mac = plan.link->container_mac;
  spec.container_netns_fd = container.netns.fd();
  const netlink::Request request = netlink::create_veth(spec);
  try {
    host.route().transact(request);
  } catch (const Error& error) {
    if (error.sys_errno() != EEXIST) throw;
    if (!plan.link->handed_over) throw_if_taken(container, *plan.link);
    delete_leftover(host, plan);
    host.route().transact(request);
  }
}

}  // namespace netctl::engine::links
