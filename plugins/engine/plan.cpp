#include "plugins/engine/plan.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "plugins/engine/identity.hpp"
#include "plugins/overlay/control/peers.hpp"

namespace netctl::engine {
namespace {

bool has_family(const std::vector<IpPrefix>& prefixes, Family family) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [family](const IpPrefix& prefix) { return prefix.address.family() == family; });
}

bool is_l2_overlay(const NetworkSpec& network) {
  return network.overlay && network.overlay->lease.mode == overlay::Mode::kL2;
}

bool has_bridge(const AttachmentRequest& request) { return std::holds_alternative<BridgePort>(request.link); }

bool is_point_to_point(const AttachmentRequest& request) {
  return std::holds_alternative<PointToPoint>(request.link);
}

IpPrefix alone(const IpAddress& address) { return {address, static_cast<std::uint8_t>(address.bits())}; }

std::optional<IpAddress> gateway_of(const std::vector<ipam::LeaseRecord>& leases, Family family) {
  for (const ipam::LeaseRecord& lease : leases) {
    if (lease.address.address.family() == family && lease.gateway) return lease.gateway;
  }
  return std::nullopt;
}

/// Of the host's link that faces containers: a bridge, or the host end of a veth pair without one.
void append_link_sysctls(std::vector<Sysctl>& sysctls, const std::string& link, const NetworkSpec& network,
                         const std::vector<IpPrefix>& addresses, bool publishes) {
  const std::string conf4 = "ipv4/conf/" + link + "/";
  const std::string conf6 = "ipv6/conf/" + link + "/";
  // A router advertisement from a container must not change the host's routes.
  sysctls.emplace_back(conf6 + "accept_ra", "0");
  if (has_family(addresses, Family::kIpv6)) sysctls.emplace_back(conf6 + "accept_dad", "0");
  if (publishes && network.localhost_publish) sysctls.emplace_back(conf4 + "route_localnet", "1");
}

/// Forwarding is a property of the host as a whole: a packet that comes in through the uplink has to be let through too.
std::vector<Sysctl> network_sysctls(const AttachmentRequest& request, const std::vector<IpPrefix>& addresses,
                                    bool publishes) {
  std::vector<Sysctl> sysctls;
  const NetworkSpec& network = request.network;
  const bool forwards = network.is_gateway || is_point_to_point(request);
  if (forwards && has_family(addresses, Family::kIpv4)) sysctls.emplace_back("ipv4/ip_forward", "1");
  if (forwards && has_family(addresses, Family::kIpv6)) sysctls.emplace_back("ipv6/conf/all/forwarding", "1");
  if (!has_bridge(request)) return sysctls;
  append_link_sysctls(sysctls, network.bridge, network, addresses, publishes);
  const std::uint16_t vlan = std::get<BridgePort>(request.link).vlan.access;
  if (network.is_gateway && vlan != 0) {
    append_link_sysctls(sysctls, vlan_gateway_name(network.bridge, vlan), network, addresses, publishes);
  }
  return sysctls;
}

NetworkPlan plan_network(const AttachmentRequest& request, const std::vector<ipam::LeaseRecord>& leases,
                         const std::vector<IpPrefix>& addresses, bool publishes) {
  const NetworkSpec& spec = request.network;
  NetworkPlan plan;
  plan.name = request.key.network;
  plan.driver = request.driver;
  plan.is_main = true;
  plan.overlay = spec.overlay;
  if (has_bridge(request)) {
    plan.bridge = spec.bridge;
    plan.bridge_mac = bridge_mac(spec.bridge);
    if (is_l2_overlay(spec)) {
      // Other nodes work out what address the gateway has, as they do for containers.
      plan.bridge_mac = overlay::gateway_mac(spec.overlay->lease.node, spec.overlay->lease.vni);
    }
    const VlanSpec& vlan = std::get<BridgePort>(request.link).vlan;
    plan.filters_vlans = vlan.is_wanted();
    plan.keeps_default_vlan = vlan.keep_default;
    if (spec.is_gateway && vlan.access != 0) {
      plan.gateway_vlan = vlan.access;
      plan.gateway_link = vlan_gateway_name(spec.bridge, vlan.access);
    }
  }
  plan.mtu_bytes = spec.mtu_bytes;
  plan.promiscuous = spec.promiscuous;
  plan.force_address = spec.force_address;
  plan.localhost_publish = spec.localhost_publish;
  plan.host_sysctls = network_sysctls(request, addresses, publishes);
  for (const ipam::LeaseRecord& lease : leases) {
    plan.subnets.push_back(lease.address.network());
    if (!lease.pool.empty()) plan.pools.push_back(lease.pool);
    if (spec.is_gateway && lease.gateway) plan.gateways.push_back({*lease.gateway, lease.address.length});
    if (spec.masquerade) plan.policy.masquerade.push_back(lease.address.network());
  }
  plan.policy.network = request.key.network;
  plan.policy.link = plan.gateway_link.empty() ? plan.bridge : plan.gateway_link;
  plan.policy.masquerade_exclude = spec.masquerade_exclude;
  plan.policy.publishes = publishes;
  plan.policy.isolated = spec.isolated;
  plan.policy.internal = spec.internal;
  plan.policy.tunnelled = spec.overlay.has_value();
  return plan;
}

PointToPointPlan plan_point_to_point(const std::vector<ipam::LeaseRecord>& leases) {
  PointToPointPlan plan;
  for (const ipam::LeaseRecord& lease : leases) {
    if (!lease.gateway) {
      throw Error(ErrorCode::kInvalidConfig,
                  "ptp needs a gateway for " + lease.address.to_string() +
                      ": the host's end of the link gets its address; name one in ipam");
    }
    const IpPrefix gateway = alone(*lease.gateway);
    const bool is_new = std::find(plan.gateways.begin(), plan.gateways.end(), gateway) == plan.gateways.end();
    if (is_new) plan.gateways.push_back(gateway);
    netlink::Route route;
    route.destination = alone(lease.address.address);
    plan.host_routes.push_back(route);
  }
  return plan;
}

LinkShape plan_shape(const AttachmentRequest& request, const std::vector<ipam::LeaseRecord>& leases) {
  if (is_point_to_point(request)) return plan_point_to_point(leases);
  if (const auto* macvlan = std::get_if<Macvlan>(&request.link)) {
    return MacvlanPlan{*macvlan, macvlan->mode != netlink::MacvlanMode::kPassthru};
  }
  if (const auto* device = std::get_if<HostDevice>(&request.link)) return DevicePlan{device->found};
  return BridgePortPlan{request.endpoint.hairpin, request.endpoint.port_isolation,
                        request.endpoint.spoof_check, std::get<BridgePort>(request.link).vlan};
}

LinkPlan plan_link(const AttachmentRequest& request, const std::vector<ipam::LeaseRecord>& leases,
                   const std::vector<IpPrefix>& addresses) {
  LinkPlan plan;
  plan.shape = plan_shape(request, leases);
  plan.alias = link_alias(request.key, addresses);
  plan.handed_over = request.endpoint.handed_over;
  plan.container_ifname = plan.handed_over ? handed_over_ifname(request.key) : request.key.ifname;
  plan.container_mac = request.endpoint.mac.value_or(container_mac(request.key, addresses));
  if (is_l2_overlay(request.network) && !addresses.empty()) {
    plan.container_mac = overlay::container_mac(addresses.front().address);
  }
  plan.mtu_bytes = request.network.mtu_bytes;
  plan.up = !request.endpoint.leave_down;
  if (has_bridge(request) || is_point_to_point(request)) {
    plan.host_ifname = host_ifname(request.key);
    plan.host_mac = host_mac(request.key);
  } else if (const auto* device = std::get_if<DevicePlan>(&plan.shape)) {
    if (device->device) plan.alias = device_alias(request.key, device->device->name);
  } else {
    plan.container_mac = macvlan_mac(request);
  }
  return plan;
}

std::vector<Sysctl> host_end_sysctls(const AttachmentRequest& request, const NetworkPlan& network,
                                     const std::vector<IpPrefix>& addresses) {
  std::vector<Sysctl> sysctls;
  const std::string link = host_ifname(request.key);
  // A bridge port needs no IPv6 address of its own and must not listen to router advertisements.
  if (has_bridge(request)) sysctls.emplace_back("ipv6/conf/" + link + "/disable_ipv6", "1");
  if (is_point_to_point(request)) {
    append_link_sysctls(sysctls, link, request.network, addresses, network.policy.publishes);
  }
  return sysctls;
}

std::vector<Sysctl> container_sysctls(const AttachmentRequest& request,
                                      const std::vector<IpPrefix>& addresses) {
  const std::string conf4 = "ipv4/conf/" + request.key.ifname + "/";
  const std::string conf6 = "ipv6/conf/" + request.key.ifname + "/";
  std::vector<Sysctl> sysctls;
  if (has_family(addresses, Family::kIpv4)) sysctls.emplace_back(conf4 + "arp_notify", "1");
  if (has_family(addresses, Family::kIpv6)) {
    sysctls.emplace_back(conf6 + "disable_ipv6", "0");
    sysctls.emplace_back(conf6 + "keep_addr_on_down", "1");
    sysctls.emplace_back(conf6 + "ndisc_notify", "1");
    sysctls.emplace_back(conf6 + "accept_dad", request.endpoint.detect_duplicates ? "1" : "0");
    if (request.endpoint.detect_duplicates) sysctls.emplace_back(conf6 + "enhanced_dad", "1");
  } else if (request.endpoint.disable_ipv6) {
    sysctls.emplace_back(conf6 + "disable_ipv6", "1");
    return sysctls;
  }
  // Addresses and routes are this product's business: a neighbour's router advertisement must not add to them. On a wire of
  // others, without addresses of ours, it may be what the container waits for.
  const bool is_own_wire = has_bridge(request) || is_point_to_point(request);
  if (is_own_wire || !addresses.empty()) sysctls.emplace_back(conf6 + "accept_ra", "0");
  return sysctls;
}

std::vector<cni::ResultRoute> plan_routes(const AttachmentRequest& request,
                                          const std::vector<ipam::LeaseRecord>& leases,
                                          const std::vector<IpPrefix>& addresses) {
  std::vector<cni::ResultRoute> routes = request.addressing.routes;
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    if (!request.endpoint.default_gateway || !has_family(addresses, family)) continue;
    const bool given = std::any_of(routes.begin(), routes.end(), [family](const cni::ResultRoute& route) {
      return route.destination.length == 0 && route.destination.address.family() == family && route.gateway;
    });
    if (given) continue;
    const std::optional<IpAddress> gateway = gateway_of(leases, family);
    if (!gateway) {
      throw Error(ErrorCode::kInvalidConfig,
                  "isDefaultGateway needs a gateway address; name one in the ipam range of network " +
                      request.key.network);
    }
    cni::ResultRoute route;
    route.destination = {IpAddress::any(family), 0};
    route.gateway = gateway;
    routes.push_back(route);
  }
  return routes;
}

/// Instead of the connected routes: the gateway is on the link, and everything else of the prefix behind it.
std::vector<netlink::Route> routes_behind_gateways(const std::vector<ipam::LeaseRecord>& leases) {
  std::vector<netlink::Route> routes;
  for (const ipam::LeaseRecord& lease : leases) {
    netlink::Route to_gateway;
    to_gateway.destination = alone(lease.gateway.value());
    routes.push_back(to_gateway);
  }
  for (const ipam::LeaseRecord& lease : leases) {
    if (lease.address.length == lease.address.address.bits()) continue;
    netlink::Route to_prefix;
    to_prefix.destination = lease.address.network();
    to_prefix.gateway = lease.gateway;
    to_prefix.preferred_source = lease.address.address;
    routes.push_back(to_prefix);
  }
  return routes;
}

/// A next hop of the prefix that is no gateway: without a connected route the kernel has to be told that it is there.
bool needs_on_link(const netlink::Route& route, const std::vector<ipam::LeaseRecord>& leases) {
  if (!route.gateway) return false;
  const auto is_gateway = [&route](const auto& lease) { return lease.gateway == route.gateway; };
  const auto covers = [&route](const auto& lease) { return lease.address.contains(*route.gateway); };
  return std::none_of(leases.begin(), leases.end(), is_gateway) &&
         std::any_of(leases.begin(), leases.end(), covers);
}

/// A route without a gateway goes through the gateway of its family (SPEC.md, result "routes").
std::vector<netlink::Route> kernel_routes(const std::vector<cni::ResultRoute>& routes,
                                          const std::vector<ipam::LeaseRecord>& leases) {
  std::vector<netlink::Route> made;
  for (const cni::ResultRoute& route : routes) {
    netlink::Route entry;
    entry.destination = route.destination.network();
    entry.gateway = route.gateway ? route.gateway : gateway_of(leases, route.destination.address.family());
    entry.table = route.table;
    entry.scope = route.scope;
    entry.priority = route.priority;
    entry.mtu_bytes = route.mtu_bytes;
    entry.advertised_mss_bytes = route.advertised_mss_bytes;
    made.push_back(entry);
  }
  return made;
}

}  // namespace

MacAddress macvlan_mac(const AttachmentRequest& request) {
  return request.endpoint.mac.value_or(container_mac(request.key, {}));
}

std::vector<iptables::PublishedPort> published_ports(const ipam::AttachmentKey& key,
                                                     const std::vector<ipam::PortRecord>& ports) {
  std::vector<iptables::PublishedPort> published;
  for (const ipam::PortRecord& port : ports) {
    for (const IpAddress& target : port.targets) {
      if (port.host_ip && port.host_ip->family() != target.family()) continue;
      iptables::PublishedPort element;
      element.protocol = static_cast<iptables::Protocol>(port.protocol);
      element.host_ip = port.host_ip && !port.host_ip->is_unspecified() ? port.host_ip : std::nullopt;
      element.host_port = port.host_port;
      element.count = port.count;
      element.container = target;
      element.container_port = port.container_port;
      element.masquerade_local = port.masquerade_local;
      element.comment = owner_comment(key);
      published.push_back(std::move(element));
    }
  }
  return published;
}

Plan make_plan(const AttachmentRequest& request, const std::vector<ipam::LeaseRecord>& leases,
               const std::vector<ipam::PortRecord>& ports) {
  Plan plan;
  plan.key = request.key;
  for (const ipam::LeaseRecord& lease : leases) plan.addresses.push_back(lease.address);
  plan.network = plan_network(request, leases, plan.addresses, !ports.empty());
  plan.link = plan_link(request, leases, plan.addresses);
  plan.routes = plan_routes(request, leases, plan.addresses);
  plan.connected_routes = !is_point_to_point(request);
  if (!plan.connected_routes) plan.kernel_routes = routes_behind_gateways(leases);
  for (netlink::Route& route : kernel_routes(plan.routes, leases)) {
    if (!plan.connected_routes) route.on_link = needs_on_link(route, leases);
    plan.kernel_routes.push_back(route);
  }
  plan.host_sysctls = host_end_sysctls(request, plan.network, plan.addresses);
  plan.container_sysctls = container_sysctls(request, plan.addresses);
  plan.detect_duplicates = request.endpoint.detect_duplicates;
  plan.ports = published_ports(request.key, ports);
  plan.dns = request.endpoint.dns.is_empty() ? request.addressing.dns : request.endpoint.dns;
  return plan;
}

}  // namespace netctl::engine
