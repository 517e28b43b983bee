#include "plugins/engine/check.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "iptables/policy_table.hpp"
#include "netlink/address.hpp"
#include "netlink/link.hpp"
#include "netlink/route.hpp"
#include "plugins/cni/version.hpp"
#include "plugins/engine/identity.hpp"
#include "plugins/engine/ingress.hpp"
#include "plugins/engine/link_kinds.hpp"
#include "plugins/engine/liveness.hpp"
#include "plugins/engine/network_setup.hpp"
#include "plugins/engine/overlay_network.hpp"
#include "plugins/engine/part.hpp"
#include "plugins/engine/plan.hpp"

namespace netctl::engine {
namespace {

using Findings = std::vector<std::string>;

void check_host_end(Host& host, const ipam::AttachmentRecord& record, Findings& findings) {
  const auto link = netlink::find_link(host.route(), record.host_ifname);
  if (!link) {
    findings.push_back("the host's end " + record.host_ifname + " is gone");
    return;
  }
  if (digest_in_alias(link->alias) != key_digest(record.key)) {
    findings.push_back("the alias of " + record.host_ifname + " is not this attachment's");
  }
  if (!link->up) findings.push_back(record.host_ifname + " is down");
  if (record.bridge.empty()) return;
  const auto bridge = netlink::find_link(host.route(), record.bridge);
  if (!bridge) {
    findings.push_back("the bridge " + record.bridge + " is gone");
  } else if (link->master_index != bridge->index) {
    findings.push_back(record.host_ifname + " is no port of " + record.bridge);
  }
  const nlohmann::json port = record.extra.value("port", nlohmann::json::object());
  const auto differs = [&port](const char* name, const std::optional<bool>& present) {
    return present && *present != port.value(name, false);
  };
  if (differs("hairpin", link->hairpin))
    findings.push_back("hairpin mode of " + record.host_ifname + " was changed");
  if (!has_parted_port(record) && differs("isolated", link->isolated))
    findings.push_back("isolation of " + record.host_ifname + " was changed");
  if (differs("locked", link->locked))
    findings.push_back("source check of " + record.host_ifname + " was changed");
  const VlanSpec vlan = links::vlan_from_json(port.value("vlan", nlohmann::json()));
  for (std::string& finding : links::vlan_drift(host, link->index, record.host_ifname, vlan))
    findings.push_back(std::move(finding));
}

bool has_route(const std::vector<netlink::Route>& present, const cni::ResultRoute& wanted) {
  return std::any_of(present.begin(), present.end(), [&wanted](const netlink::Route& route) {
    return route.destination == wanted.destination.network() &&
           (!wanted.gateway || route.gateway == wanted.gateway);
  });
}

/// Through a socket inside the container: `ifname` and its addresses and routes, as `result` names them.
void check_container_end(netlink::Socket& container, const std::string& ifname, const cni::Result& result,
                         Findings& findings) {
  const auto link = netlink::find_link(container, ifname);
  if (!link) {
    findings.push_back("the container has no interface " + ifname);
    return;
  }
  const std::vector<IpPrefix> addresses = netlink::list_addresses(container, link->index);
  for (const cni::ResultIp& ip : result.ips) {
    const bool elsewhere = ip.interface && *ip.interface >= 0 &&
                           static_cast<std::size_t>(*ip.interface) < result.interfaces.size() &&
                           result.interfaces[static_cast<std::size_t>(*ip.interface)].name != ifname;
    if (elsewhere || std::find(addresses.begin(), addresses.end(), ip.address) != addresses.end()) continue;
    findings.push_back("address " + ip.address.to_string() + " is missing on " + ifname);
  }
  std::vector<netlink::Route> routes = netlink::list_routes(container, Family::kIpv4);
  for (const netlink::Route& route : netlink::list_routes(container, Family::kIpv6)) routes.push_back(route);
  for (const cni::ResultRoute& route : result.routes) {
    const bool main_table = !route.table || *route.table == 254;
    if (main_table && !has_route(routes, route)) {
      findings.push_back("the route to " + route.destination.to_string() + " is missing in the container");
    }
  }
}

void check_policy(Host& host, const ipam::AttachmentRecord& record, Findings& findings) {
  std::optional<iptables::NetworkPolicy> policy;
  host.live().read([&](const ipam::Transaction& store) {
    const auto network = store.find_network(record.key.network);
    if (network) policy = policy_from_json(network->policy);
    if (policy) policy = policy_at_link(*policy, record);
    if (policy && !policy->is_empty()) policy = with_link_mates(store, *policy);
  });
  // Only what has a link or ports of ours has a network of ours.
  if (!policy && record.host_ifname.empty() && record.ports.empty()) return;
  if (!policy) {
    findings.push_back("the store knows no network " + record.key.network);
    return;
  }
  const auto ports = published_ports(record.key, record.ports);
  if (policy->is_empty() && ports.empty()) return;
  for (std::string& line : iptables::PolicyTable(host.netfilter()).find_drift(*policy, ports)) {
    findings.push_back(std::move(line));
  }
}

void check_leases(Host& host, const ipam::AttachmentRecord& record, Findings& findings) {
  host.live().read([&](const ipam::Transaction& store) {
    for (const ipam::LeaseRecord& lease : record.leases) {
      if (lease.pool.empty()) continue;
      if (ipam::find_holder(store, lease.pool, lease.address.address) == record.key) continue;
      findings.push_back("the pool does not hold " + lease.address.address.to_string() +
                         " for this container");
    }
  });
}

/// Of ours, by what ADD reported; not where somebody else makes it, or a userspace driver has the device.
bool has_interface(const ipam::AttachmentRecord& record) {
  if (!record.result.is_object()) return false;
  const nlohmann::json interfaces = record.result.value("interfaces", nlohmann::json::array());
  return std::any_of(interfaces.begin(), interfaces.end(), [&record](const nlohmann::json& interface) {
    return interface.value("name", "") == record.key.ifname && !interface.value("sandbox", "").empty();
  });
}

void check_container(const ipam::AttachmentRecord& record, const cni::Result& result, Findings& findings) {
  try {
    const netlink::Netns netns = netlink::Netns::open(record.netns_path);
    std::optional<netlink::Socket> socket;
    netns.run([&socket] { socket = netlink::Socket::open(netlink::Bus::kRoute); });
    if (socket->netns_cookie() != record.netns_cookie) {
      findings.push_back(record.netns_path + " is another network namespace than at ADD");
      return;
    }
    check_container_end(*socket, record.key.ifname, result, findings);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInvalidNetns) throw;
    findings.push_back(error.message());
  }
}

void check_overlay(Host& host, const ipam::AttachmentRecord& record, Findings& findings) {
  std::optional<ipam::NetworkRecord> network;
  host.live().read([&](const ipam::Transaction& store) { network = store.find_network(record.key.network); });
  if (!network) return;
  for (std::string& line : find_overlay_drift(host, *network)) findings.push_back(std::move(line));
}

/// The runtime has to hand back what ADD said: a result that does not list the interface is another attachment's.
void check_is_listed(const ipam::AttachmentRecord& record, const cni::Result& expected, Findings& findings) {
  const bool listed = std::any_of(expected.interfaces.begin(), expected.interfaces.end(),
                                  [&record](const cni::Interface& interface) {
                                    return interface.name == record.key.ifname && !interface.sandbox.empty();
                                  });
  if (!listed) findings.push_back("prevResult does not list the container's interface " + record.key.ifname);
}

void check_parts(Host& host, const ipam::AttachmentRecord& record, Findings& findings) {
  for (const auto& [name, state] : record.parts) {
    const PartKind& kind = part_kind(name);
    const nlohmann::json own = part_state(record, name);
    if (state != ipam::State::kReady || kind.find_drift == nullptr || own.is_null()) continue;
    for (std::string& finding : kind.find_drift(host, record, own)) findings.push_back(std::move(finding));
  }
}

}  // namespace

std::vector<std::string> find_drift(Host& host, const ipam::AttachmentRecord& record) {
  Findings findings;
  if (!record.host_ifname.empty()) check_host_end(host, record, findings);
  // What was handed over has its name, addresses and routes from whoever took it.
  if (has_interface(record) && !record.extra.value(kHandedOver, false)) {
    check_container(record, cni::Result::from_json(record.result, cni::kNewestVersion), findings);
  }
  check_policy(host, record, findings);
  check_leases(host, record, findings);
  check_overlay(host, record, findings);
  check_parts(host, record, findings);
  return findings;
}

void check(Host& host, const ipam::AttachmentKey& key, const std::string& part,
           const std::optional<cni::Result>& expected) {
  const HeldLock lock = host.live().lock_attachment(key);
  std::optional<ipam::AttachmentRecord> record;
  host.live().read([&](const ipam::Transaction& store) { record = store.find_attachment(key); });
  if (!record || !record->parts.contains(part)) {
    throw Error(ErrorCode::kUnknownContainer, describe(key) + " is not attached to network " + key.network +
                                                  " by " + part + "; call ADD first");
  }
  Findings findings = find_drift(host, *record);
  if (expected && has_interface(*record)) {
    check_is_listed(*record, *expected, findings);
    check_container(*record, *expected, findings);
  }
  if (record->parts[part] != ipam::State::kReady) findings.push_back("its ADD or DEL was interrupted");
  std::sort(findings.begin(), findings.end());
  findings.erase(std::unique(findings.begin(), findings.end()), findings.end());
  if (findings.empty()) return;
  std::string all;
  for (const std::string& finding : findings) all += (all.empty() ? "" : "; ") + finding;
  throw Error(
      ErrorCode::kDrift,
      describe(key, record->container_name) + " is not as it was made: " + all + "; run DEL and ADD again",
      all);
}

}  // namespace netctl::engine
