#include "plugins/engine/network.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "iptables/policy_table.hpp"
#include "netlink/sysctl.hpp"
#include "plugins/engine/identity.hpp"
#include "plugins/engine/link_kinds.hpp"
#include "plugins/engine/network_setup.hpp"
#include "plugins/engine/overlay_network.hpp"
#include "plugins/overlay/control/vtep.hpp"

namespace netctl::engine {
namespace {

template <class T>
bool includes_all(const std::vector<T>& all, const std::vector<T>& some) {
  return std::all_of(some.begin(), some.end(),
                     [&all](const T& item) { return std::find(all.begin(), all.end(), item) != all.end(); });
}

bool covers(const iptables::NetworkPolicy& present, const iptables::NetworkPolicy& wanted) {
  return present.link == wanted.link && includes_all(present.masquerade, wanted.masquerade) &&
         present.masquerade_exclude == wanted.masquerade_exclude &&
         (present.publishes || !wanted.publishes) && present.isolated == wanted.isolated &&
         present.internal == wanted.internal && present.tunnelled == wanted.tunnelled &&
         present.ingress == wanted.ingress;
}

std::vector<std::string> texts(const std::vector<IpPrefix>& prefixes) {
  std::vector<std::string> list;
  for (const IpPrefix& prefix : prefixes) list.push_back(prefix.to_string());
  return list;
}

std::vector<std::string> texts(const std::vector<Sysctl>& sysctls) {
  std::vector<std::string> list;
  for (const auto& [path, value] : sysctls) list.push_back(path + "=" + value);
  return list;
}

bool covers(const ipam::NetworkRecord& record, const NetworkPlan& plan, std::uint32_t bridge_index) {
  return !is_leaving(record) && is_settled(record) && record.bridge == plan.bridge &&
         recorded_bridge_index(record) == bridge_index &&
         (!plan.is_main || (recorded_gateway_link(record) == plan.gateway_link &&
                            recorded_vlan_filtering(record) == plan.filters_vlans)) &&
         includes_all(record.pools, plan.pools) && includes_all(record.subnets, texts(plan.subnets)) &&
         includes_all(recorded_gateways(record), texts(plan.gateways)) &&
         includes_all(recorded_sysctls(record), texts(plan.host_sysctls)) &&
         (!plan.overlay || recorded_membership(record) == plan.overlay->digest) &&
         covers(policy_from_json(record.policy), merge_policy(record, plan));
}

iptables::PolicyTable policy_table(Host& host) { return iptables::PolicyTable(host.netfilter()); }

void rebuild_table(Host& host) {
  const HeldLock table = host.live().lock_table(LockMode::kExclusive);
  std::vector<iptables::NetworkPolicy> networks;
  std::vector<iptables::PublishedPort> ports;
  std::vector<iptables::NetworkPolicy> links;
  host.live().read([&](const ipam::Transaction& store) {
    for (const ipam::NetworkRecord& record : store.list_networks()) {
      iptables::NetworkPolicy policy = policy_from_json(record.policy);
      if (!policy.is_empty()) networks.push_back(with_link_mates(store, std::move(policy)));
    }
    for (const ipam::AttachmentRecord& record : store.list_attachments()) {
      for (iptables::PublishedPort& port : published_ports(record.key, record.ports))
        ports.push_back(std::move(port));
      if (const auto policy = link_policy(store, record)) links.push_back(*policy);
    }
  });
  policy_table(host).rebuild(networks, ports);
  for (const iptables::NetworkPolicy& link : links) (void)policy_table(host).put(link, {});
  guard_tunnels(host);
}

bool has_vtep(Host& host, const NetworkPlan& plan) {
  return !plan.overlay || host.route().find_link_index(overlay::vtep_ifname(plan.name)).has_value();
}

/// What the record says of the network, as a plan: nothing but what is on record is made.
NetworkPlan plan_of(const ipam::NetworkRecord& record) {
  NetworkPlan plan;
  plan.name = record.name;
  plan.driver = record.driver;
  plan.is_main = true;
  plan.bridge = record.bridge;
  plan.bridge_mac = MacAddress::parse(recorded_bridge_mac(record)).value_or(bridge_mac(record.bridge));
  plan.filters_vlans = recorded_vlan_filtering(record);
  plan.keeps_default_vlan = recorded_keeps_default_vlan(record);
  plan.gateway_link = recorded_gateway_link(record);
  plan.gateway_vlan = vlan_of_gateway(plan.gateway_link);
  plan.localhost_publish = recorded_localhost_publish(record);
  plan.policy = policy_from_json(record.policy);
  for (const std::string& text : recorded_gateways(record)) {
    if (const auto gateway = IpPrefix::parse(text)) plan.gateways.push_back(*gateway);
  }
  for (const std::string& text : recorded_sysctls(record)) {
    const std::size_t equals = text.find('=');
    plan.host_sysctls.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  plan.overlay = recorded_overlay(record);
  if (plan.overlay) plan.mtu_bytes = plan.overlay->lease.mtu_bytes;
  return plan;
}

}  // namespace

SharedNetwork ensure_network(Host& host, const NetworkPlan& plan,
                             const std::optional<ipam::NetworkRecord>& seen) {
  std::uint32_t index = 0;
  if (!plan.bridge.empty()) index = host.route().find_link_index(plan.bridge).value_or(0);
  const bool links_present = (plan.bridge.empty() || index != 0) && has_vtep(host, plan) &&
                             (plan.gateway_link.empty() || host.route().find_link_index(plan.gateway_link));
  const auto shared = [&plan](std::uint32_t bridge_index, const ipam::NetworkRecord& record) {
    return SharedNetwork{bridge_index, recorded_bridge_mac(record),
                         plan.gateway_link.empty() ? "" : recorded_gateway_mac(record)};
  };
  if (seen && links_present && covers(*seen, plan, index)) return shared(index, *seen);
  const HeldLock exclusive = host.live().lock_network(plan.name, LockMode::kExclusive);
  const ipam::NetworkRecord record = set_up_network(host, plan);
  return shared(recorded_bridge_index(record), record);
}

void put_policy(Host& host, const iptables::NetworkPolicy& policy,
                const std::vector<iptables::PublishedPort>& ports) {
  if (policy.is_empty() && ports.empty()) return;
  {
    const HeldLock table = host.live().lock_table(LockMode::kShared);
    if (policy_table(host).put(policy, ports) == iptables::PolicyTable::Put::kDone) return;
  }
  rebuild_table(host);
  const HeldLock table = host.live().lock_table(LockMode::kShared);
  if (policy_table(host).put(policy, ports) != iptables::PolicyTable::Put::kDone) {
    throw Error(ErrorCode::kTryAgainLater,
                "the table inet netctl was removed again while it was being rebuilt; stop what flushes it "
                "and try again");
  }
}

void withdraw_ports(Host& host, const std::vector<iptables::PublishedPort>& ports) {
  if (ports.empty()) return;
  const HeldLock table = host.live().lock_table(LockMode::kShared);
  policy_table(host).withdraw(ports);
}

bool repair_network(Host& host, const std::string& network) {
  const HeldLock exclusive = host.live().lock_network(network, LockMode::kExclusive);
  std::optional<ipam::NetworkRecord> record;
  host.live().read([&](const ipam::Transaction& store) { record = store.find_network(network); });
  if (!record || is_leaving(*record)) return false;
  set_up_network(host, plan_of(*record));
  rebuild_table(host);
  return true;
}

void hold_network(Host& host, const NetworkPlan& plan) {
  const HeldLock exclusive = host.live().lock_network(plan.name, LockMode::kExclusive);
  set_up_network(host, plan);
}

void release_network(Host& host, const std::string& network) {
  host.live().write([&](ipam::Transaction& store) {
    auto record = store.find_network(network);
    if (!record || !is_held(*record)) return;
    mark_released(*record);
    store.put_network(*record);
  });
  remove_network_if_unused(host, network);
}

void withdraw_link(Host& host, const ipam::AttachmentRecord& record,
                   const std::optional<ipam::AttachmentRecord>& left) {
  const std::string link = policy_link(record);
  if (link.empty()) return;
  const bool is_own = link == record.host_ifname;
  if (is_own && left && left->ports.empty()) {
    netlink::write_sysctl("ipv4/conf/" + link + "/route_localnet", "0");  // before its guard goes
  }
  // A link that others use, too (a bridge, reached through a shared namespace or made by another plugin): whoever joins
  // it is in the store before its elements are in the table.
  const HeldLock table = host.live().lock_table(is_own ? LockMode::kShared : LockMode::kExclusive);
  std::vector<iptables::NetworkPolicy> staying;
  host.live().read([&](const ipam::Transaction& store) {
    if (const auto own = left ? link_policy(store, *left) : std::nullopt) staying.push_back(*own);
    for (const ipam::AttachmentRecord& other : store.list_attachments()) {
      if (other.key == record.key || policy_link(other) != link) continue;
      if (const auto policy = link_policy(store, other)) staying.push_back(*policy);
    }
    for (const ipam::NetworkRecord& network : store.list_networks()) {
      if (!network.policy.is_object()) continue;
      const iptables::NetworkPolicy policy = policy_from_json(network.policy);
      if (policy.link == link && !policy.is_empty()) staying.push_back(policy);
    }
  });
  policy_table(host).withdraw_link(record.key.network, link, staying);
}

void withdraw_ports_beside(Host& host, const std::vector<iptables::PublishedPort>& ports,
                           const StayingPorts& find_staying) {
  if (ports.empty()) return;
  // Whoever publishes meanwhile is in the store before its elements are in the table.
  const HeldLock table = host.live().lock_table(LockMode::kExclusive);
  std::vector<iptables::PublishedPort> staying;
  host.live().read([&](const ipam::Transaction& store) { staying = find_staying(store); });
  policy_table(host).withdraw(ports, staying);
}

void remove_network_if_unused(Host& host, const std::string& network) {
  // Whoever takes the last attachment out of the store sees none here, so that most DELs need no lock.
  bool unused = false;
  host.live().read([&](const ipam::Transaction& store) { unused = !store.has_attachments(network); });
  if (!unused) return;
  const HeldLock exclusive = host.live().lock_network(network, LockMode::kExclusive);
  tear_down_network(host, network);
}

}  // namespace netctl::engine
