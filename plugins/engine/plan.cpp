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

std::optional<IpAddress> gateway_of(const std::vector<ipam::LeaseRecord>& leases, Family family) {
  for (const ipam::LeaseRecord& lease : leases) {
    if (lease.address.address.family() == family && lease.gateway) return lease.gateway;
  }
  return std::nullopt;
}

/// Forwarding is a property of the host as a whole: a packet that comes in through the uplink has to be let through too.
std::vector<Sysctl> network_sysctls(const NetworkSpec& network, const std::vector<IpPrefix>& addresses,
                                    bool publishes) {
  std::vector<Sysctl> sysctls;
  const std::string conf4 = "ipv4/conf/" + network.bridge + "/";
  const std::string conf6 = "ipv6/conf/" + network.bridge + "/";
  if (network.is_gateway && has_family(addresses, Family::kIpv4))
    sysctls.emplace_back("ipv4/ip_forward", "1");
  if (network.is_gateway && has_family(addresses, Family::kIpv6))
    sysctls.emplace_back("ipv6/conf/all/forwarding", "1");
  // A router advertisement from a container must not change the host's routes.
  sysctls.emplace_back(conf6 + "accept_ra", "0");
  if (has_family(addresses, Family::kIpv6)) sysctls.emplace_back(conf6 + "accept_dad", "0");
  if (publishes && network.localhost_publish) sysctls.emplace_back(conf4 + "route_localnet", "1");
  return sysctls;
}

NetworkPlan plan_network(const AttachmentRequest& request, const std::vector<ipam::LeaseRecord>& leases,
                         const std::vector<IpPrefix>& addresses, bool publishes) {
  const NetworkSpec& spec = request.network;
  NetworkPlan plan;
  plan.name = request.key.network;
  plan.driver = request.driver;
  plan.bridge = spec.bridge;
  plan.bridge_mac = bridge_mac(spec.bridge);
  plan.is_main = true;
  plan.overlay = spec.overlay;
  if (is_l2_overlay(spec)) {
    // Other nodes work out what address the gateway has, as they do for containers.
    plan.bridge_mac = overlay::gateway_mac(spec.overlay->lease.node, spec.overlay->lease.vni);
  }
  plan.mtu_bytes = spec.mtu_bytes;
  plan.promiscuous = spec.promiscuous;
  plan.force_address = spec.force_address;
  plan.localhost_publish = spec.localhost_publish;
  plan.host_sysctls = network_sysctls(spec, addresses, publishes);
  for (const ipam::LeaseRecord& lease : leases) {
    plan.subnets.push_back(lease.address.network());
    if (!lease.pool.empty()) plan.pools.push_back(lease.pool);
    if (spec.is_gateway && lease.gateway) plan.gateways.push_back({*lease.gateway, lease.address.length});
    if (spec.masquerade) plan.policy.masquerade.push_back(lease.address.network());
  }
  plan.policy.network = request.key.network;
  plan.policy.link = spec.bridge;
  plan.policy.masquerade_exclude = spec.masquerade_exclude;
  plan.policy.publishes = publishes;
  plan.policy.isolated = spec.isolated;
  plan.policy.internal = spec.internal;
  plan.policy.tunnelled = spec.overlay.has_value();
  return plan;
}

LinkPlan plan_link(const AttachmentRequest& request, const std::vector<IpPrefix>& addresses) {
  LinkPlan plan;
  plan.host_ifname = host_ifname(request.key);
  plan.host_mac = host_mac(request.key);
  plan.alias = link_alias(request.key, addresses);
  plan.handed_over = request.endpoint.handed_over;
  plan.container_ifname = plan.handed_over ? handed_over_ifname(request.key) : request.key.ifname;
  plan.container_mac = request.endpoint.mac.value_or(container_mac(request.key, addresses));
  if (is_l2_overlay(request.network) && !addresses.empty()) {
    plan.container_mac = overlay::container_mac(addresses.front().address);
  }
  plan.mtu_bytes = request.network.mtu_bytes;
  plan.hairpin = request.endpoint.hairpin;
  plan.isolated = request.endpoint.port_isolation;
  plan.locked = request.endpoint.spoof_check;
  plan.up = !request.endpoint.leave_down;
  return plan;
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
  // Addresses and routes are this product's business: a neighbour's router advertisement must not add to them.
  sysctls.emplace_back(conf6 + "accept_ra", "0");
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
  plan.link = plan_link(request, plan.addresses);
  plan.routes = plan_routes(request, leases, plan.addresses);
  plan.kernel_routes = kernel_routes(plan.routes, leases);
  // The host end is a bridge port: it needs no IPv6 address of its own and must not listen to router advertisements.
  plan.host_sysctls = {{"ipv6/conf/" + plan.link->host_ifname + "/disable_ipv6", "1"}};
  plan.container_sysctls = container_sysctls(request, plan.addresses);
  plan.detect_duplicates = request.endpoint.detect_duplicates;
  plan.ports = published_ports(request.key, ports);
  plan.dns = request.endpoint.dns.is_empty() ? request.addressing.dns : request.endpoint.dns;
  return plan;
}

}  // namespace netctl::engine
