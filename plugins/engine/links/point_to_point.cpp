// A veth pair without a bridge: the host end answers for the gateways, and the host has a route to each address.

#include <algorithm>

#include "netlink/address.hpp"
#include "netlink/link.hpp"
#include "netlink/route.hpp"
#include "netlink/sysctl.hpp"
#include "plugins/engine/link_kinds.hpp"

namespace netctl::engine::links {

void make(Host& host, Container& container, const Plan& plan, const PointToPointPlan& shape,
          const SharedNetwork& /*network*/) {
  make_veth(host, container, plan, 0);
  const std::uint32_t index = must_find(host.route(), plan.link->host_ifname);
  host.route().transact(netlink::set_alias(index, plan.link->alias));
  netlink::write_sysctls(plan.host_sysctls);
  std::vector<netlink::Request> requests;
  for (const IpPrefix& gateway : shape.gateways) {
    requests.push_back(netlink::add_address(index, gateway, netlink::DuplicateDetection::kOff));
  }
  for (netlink::Route route : shape.host_routes) {
    route.link_index = index;
    requests.push_back(netlink::add_route(route));
  }
  host.route().transact_all(requests);
}

std::vector<std::string> point_to_point_drift(Host& host, const ipam::AttachmentRecord& record,
                                              const nlohmann::json& /*state*/) {
  std::vector<std::string> findings;
  const auto index = host.route().find_link_index(record.host_ifname);
  if (!index) return findings;  // who looks at the link says so already
  const std::vector<IpPrefix> addresses = netlink::list_addresses(host.route(), *index);
  std::vector<netlink::Route> routes = netlink::list_routes(host.route(), Family::kIpv4);
  for (const netlink::Route& route : netlink::list_routes(host.route(), Family::kIpv6))
    routes.push_back(route);
  for (const ipam::LeaseRecord& lease : record.leases) {
    const auto bits = static_cast<std::uint8_t>(lease.address.address.bits());
    const bool has_gateway = !lease.gateway || std::find(addresses.begin(), addresses.end(),
                                                         IpPrefix{*lease.gateway, bits}) != addresses.end();
    if (!has_gateway) {
      findings.push_back("the gateway's address " + lease.gateway->to_string() + " is missing on " +
                         record.host_ifname);
    }
    const IpPrefix destination{lease.address.address, bits};
    const bool has_route = std::any_of(routes.begin(), routes.end(), [&](const netlink::Route& route) {
      return route.destination == destination && route.link_index == *index;
    });
    if (!has_route) {
      findings.push_back("the host's route to " + lease.address.address.to_string() + " is missing");
    }
  }
  return findings;
}

}  // namespace netctl::engine::links
