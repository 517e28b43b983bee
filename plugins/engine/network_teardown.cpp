// What goes with a network's last attachment.

#include <algorithm>

#include "base/error.hpp"
#include "iptables/policy_table.hpp"
#include "netlink/address.hpp"
#include "netlink/link.hpp"
#include "netlink/sysctl.hpp"
#include "plugins/engine/flows.hpp"
#include "plugins/engine/log.hpp"
#include "plugins/engine/network_setup.hpp"
#include "plugins/engine/overlay_network.hpp"
#include "plugins/engine/vlan_gateway.hpp"

namespace netctl::engine {
namespace {

/// Another network on the same bridge inherits the duty to remove it; the last one removes it.
bool hand_bridge_over(Host& host, const ipam::NetworkRecord& leaving) {
  bool handed = false;
  host.live().write([&](ipam::Transaction& store) {
    for (ipam::NetworkRecord other : store.list_networks()) {
      if (other.name == leaving.name || other.bridge != leaving.bridge || handed) continue;
      other.bridge_created = true;
      store.put_network(other);
      handed = true;
    }
  });
  return handed;
}

/// Another network in the same VLAN of the same bridge keeps the gateway.
void remove_gateway_link(Host& host, const ipam::NetworkRecord& record) {
  const std::string link = recorded_gateway_link(record);
  if (link.empty()) return;
  bool is_shared = false;
  host.live().read([&](const ipam::Transaction& store) {
    for (const ipam::NetworkRecord& other : store.list_networks()) {
      is_shared = is_shared || (other.name != record.name && recorded_gateway_link(other) == link);
    }
  });
  if (!is_shared) remove_vlan_gateway(host, link);
}

void remove_bridge(Host& host, const ipam::NetworkRecord& record) {
  if (record.bridge.empty() || !record.bridge_created || hand_bridge_over(host, record)) return;
  const auto bridge = netlink::find_link(host.route(), record.bridge);
  if (bridge && bridge->kind == "bridge") host.route().transact(netlink::delete_link(bridge->index));
}

/// Of the networks that stay: those that have rules at all.
std::vector<iptables::NetworkPolicy> other_policies(Host& host, const std::string& leaving) {
  std::vector<iptables::NetworkPolicy> policies;
  host.live().read([&](const ipam::Transaction& store) {
    for (const ipam::NetworkRecord& other : store.list_networks()) {
      const iptables::NetworkPolicy policy = policy_from_json(other.policy);
      if (other.name != leaving && !policy.is_empty()) policies.push_back(with_link_mates(store, policy));
    }
  });
  return policies;
}

void remove_policy(Host& host, const ipam::NetworkRecord& record) {
  iptables::NetworkPolicy policy = policy_from_json(record.policy);
  if (policy.is_empty()) return;
  const HeldLock lock = host.live().lock_table(LockMode::kExclusive);
  iptables::PolicyTable table(host.netfilter());
  const std::vector<iptables::NetworkPolicy> others = other_policies(host, record.name);
  const auto mate = std::find_if(others.begin(), others.end(), [&policy](const auto& other) {
    return !policy.link.empty() && other.link == policy.link;
  });
  if (mate != others.end()) policy.link.clear();  // the elements of the link are theirs, too
  table.remove_network(policy);
  if (mate != others.end()) table.install(*mate);
  if (others.empty()) table.remove_table();
}

bool concerns_bridge(const std::string& sysctl, const ipam::NetworkRecord& record) {
  const std::string gateway = recorded_gateway_link(record);
  return sysctl.find("/conf/" + record.bridge + "/") != std::string::npos ||
         (!gateway.empty() && sysctl.find("/conf/" + gateway + "/") != std::string::npos);
}

/// What the bridge itself sent (group membership reports, answers of the host) must not outlive it.
void forget_flows_of_gateways(Host& host, const ipam::NetworkRecord& record) {
  if (!record.policy.is_object() || policy_from_json(record.policy).is_empty()) return;
  for (const std::string& text : recorded_gateways(record)) {
    if (const auto gateway = IpPrefix::parse(text)) forget_flows_of(host, gateway->address);
  }
}

/// Puts a value back only while it is still the one that was set. What other networks still need passes into their care.
void restore_sysctls(ipam::Transaction& store, const ipam::NetworkRecord& leaving) {
  std::vector<ipam::NetworkRecord> others = store.list_networks();
  others.erase(std::remove_if(others.begin(), others.end(),
                              [&](const ipam::NetworkRecord& other) { return other.name == leaving.name; }),
               others.end());
  // Switching forwarding off changes others of these: they come after it.
  std::vector<std::pair<std::string, std::string>> sysctls(leaving.sysctls_before.begin(),
                                                           leaving.sysctls_before.end());
  std::stable_partition(sysctls.begin(), sysctls.end(),
                        [](const auto& sysctl) { return sysctl.first == kForwarding; });
  for (const auto& [path, before] : sysctls) {
    const auto heir =
        std::find_if(others.begin(), others.end(), [&, &sysctl = path](const ipam::NetworkRecord& other) {
          return !concerns_bridge(sysctl, leaving) || other.bridge == leaving.bridge;
        });
    if (heir != others.end()) {
      heir->sysctls_before.emplace(path, before);
      store.put_network(*heir);
    } else if (netlink::read_sysctl(path).value_or(before) != before) {
      netlink::write_sysctl(path, before);
    }
  }
}

/// A bridge that stays (adopted, or shared with another network) loses the addresses that it got for this one; what
/// another network on it needs as well passes into that one's care.
void remove_gateways(Host& host, ipam::Transaction& store, const ipam::NetworkRecord& leaving) {
  const std::string gateway_link = recorded_gateway_link(leaving);
  const std::string& holder = gateway_link.empty() ? leaving.bridge : gateway_link;
  const auto link = holder.empty() ? std::nullopt : host.route().find_link_index(holder);
  if (!link) return;
  std::vector<ipam::NetworkRecord> others = store.list_networks();
  for (const std::string& text : added_gateways(leaving)) {
    const auto heir = std::find_if(others.begin(), others.end(), [&](const ipam::NetworkRecord& other) {
      const std::vector<std::string> wanted = recorded_gateways(other);
      return other.name != leaving.name && other.bridge == leaving.bridge &&
             recorded_gateway_link(other) == gateway_link &&
             std::find(wanted.begin(), wanted.end(), text) != wanted.end();
    });
    if (heir != others.end()) {
      note_added_gateway(*heir, text);
      store.put_network(*heir);
    } else if (const auto gateway = IpPrefix::parse(text)) {
      host.route().transact(netlink::delete_address(*link, *gateway));
    }
  }
}

}  // namespace

void tear_down_network(Host& host, const std::string& network) {
  std::optional<ipam::NetworkRecord> record;
  host.live().write([&](ipam::Transaction& store) {
    if (store.has_attachments(network)) return;
    record = store.find_network(network);
    if (record && is_held(*record)) record.reset();
    if (!record) return;
    ipam::NetworkRecord leaving = *record;
    mark_leaving(leaving);
    store.put_network(leaving);
  });
  if (!record) return;
  tear_down_overlay(host, *record);  // first: no moment without its guard
  remove_policy(host, *record);
  if (recorded_overlay(*record)) guard_tunnels_if_any(host);
  remove_gateway_link(host, *record);
  remove_bridge(host, *record);
  forget_flows_of_gateways(host, *record);
  host.live().write([&](ipam::Transaction& store) {
    // Inside the transaction: a network that is set up meanwhile is seen here, or sees the value that is put back.
    if (const auto latest = store.find_network(network)) {
      remove_gateways(host, store, *latest);
      restore_sysctls(store, *latest);
    }
    store.erase_network(network);
  });
  log_info("network=" + network + " removed with its last attachment");
}

}  // namespace netctl::engine
