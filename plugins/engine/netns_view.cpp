#include "plugins/engine/netns_view.hpp"

#include <algorithm>

#include "netlink/address.hpp"
#include "netlink/link.hpp"
#include "netlink/route.hpp"

namespace netctl::engine {
namespace {

std::vector<netlink::Route> routes_through_gateways(netlink::Socket& socket) {
  std::vector<netlink::Route> routes;
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    for (const netlink::Route& route : netlink::list_routes(socket, family)) {
      if (route.gateway) routes.push_back(route);
    }
  }
  return routes;
}

/// Index of the link of the first default route; 0 when there is none.
std::uint32_t default_link(const std::vector<netlink::Route>& routes) {
  const auto found = std::find_if(routes.begin(), routes.end(),
                                  [](const netlink::Route& route) { return route.destination.length == 0; });
  return found == routes.end() ? 0 : found->link_index;
}

std::optional<IpAddress> gateway_of(const netlink::LinkAddress& address,
                                    const std::vector<netlink::Route>& routes) {
  for (const netlink::Route& route : routes) {
    if (route.link_index == address.link_index && address.address.contains(*route.gateway))
      return route.gateway;
  }
  return std::nullopt;
}

}  // namespace

cni::Result describe_netns(netlink::Socket& socket, const std::string& sandbox) {
  constexpr std::uint32_t kLoopbackIndex = 1;
  const std::vector<netlink::Route> routes = routes_through_gateways(socket);
  std::vector<netlink::LinkAddress> addresses = netlink::list_global_addresses(socket);
  const std::uint32_t first = default_link(routes);
  std::stable_partition(addresses.begin(), addresses.end(),
                        [first](const netlink::LinkAddress& address) { return address.link_index == first; });
  cni::Result result;
  std::vector<std::uint32_t> known;
  for (const netlink::LinkAddress& address : addresses) {
    if (address.link_index == kLoopbackIndex) continue;
    auto place = std::find(known.begin(), known.end(), address.link_index);
    if (place == known.end()) {
      const auto link = netlink::find_link(socket, address.link_index);
      if (!link) continue;  // gone since
      cni::Interface interface;
      interface.name = link->name;
      if (link->mac) interface.mac = link->mac->to_string();
      interface.sandbox = sandbox;
      interface.mtu_bytes = link->mtu_bytes;
      result.interfaces.push_back(std::move(interface));
      known.push_back(address.link_index);
      place = known.end() - 1;
    }
    result.ips.push_back(
        {address.address, gateway_of(address, routes), static_cast<int>(place - known.begin())});
  }
  for (const netlink::Route& route : routes) {
    cni::ResultRoute entry;
    entry.destination = route.destination;
    entry.gateway = route.gateway;
    entry.priority = route.priority;
    result.routes.push_back(entry);
  }
  return result;
}

}  // namespace netctl::engine
