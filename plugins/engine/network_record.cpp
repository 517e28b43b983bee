// What a network's record says, and what policy follows from it.

#include <algorithm>

#include "plugins/engine/link_kinds.hpp"
#include "plugins/engine/network_record_internal.hpp"
#include "plugins/engine/network_setup.hpp"

namespace netctl::engine {

std::uint32_t recorded_bridge_index(const ipam::NetworkRecord& record) {
  return record.extra.value(kBridgeIndex, 0U);
}

std::optional<iptables::NetworkPolicy> link_policy(const ipam::Transaction& store,
                                                   const ipam::AttachmentRecord& record) {
  if (policy_link(record).empty()) return std::nullopt;
  const auto network = store.find_network(record.key.network);
  if (!network || !network->policy.is_object()) return std::nullopt;
  iptables::NetworkPolicy policy = policy_at_link(policy_from_json(network->policy), record);
  if (policy.is_empty()) return std::nullopt;
  return policy;
}

bool recorded_vlan_filtering(const ipam::NetworkRecord& record) {
  return record.extra.value(kFiltersVlans, false);
}

bool recorded_keeps_default_vlan(const ipam::NetworkRecord& record) {
  return record.extra.value(kKeepsDefaultVlan, true);
}

std::string recorded_gateway_link(const ipam::NetworkRecord& record) {
  return record.extra.value(kGatewayLink, std::string());
}

std::string recorded_gateway_mac(const ipam::NetworkRecord& record) {
  return record.extra.value(kGatewayMac, std::string());
}

bool is_settled(const ipam::NetworkRecord& record) { return record.extra.value(kSettled, true); }

std::vector<std::string> added_gateways(const ipam::NetworkRecord& record) {
  return record.extra.value(kAddedGateways, std::vector<std::string>{});
}

void note_added_gateway(ipam::NetworkRecord& record, const std::string& gateway) {
  std::vector<std::string> added = added_gateways(record);
  add_missing(added, {gateway});
  record.extra[kAddedGateways] = added;
}

void mark_leaving(ipam::NetworkRecord& record) { record.extra[kLeaving] = true; }

bool is_leaving(const ipam::NetworkRecord& record) { return record.extra.value(kLeaving, false); }

bool recorded_localhost_publish(const ipam::NetworkRecord& record) {
  return record.extra.value(kLocalhostPublish, true);
}

std::string recorded_bridge_mac(const ipam::NetworkRecord& record) {
  return record.extra.value(kBridgeMac, std::string());
}

std::vector<std::string> recorded_sysctls(const ipam::NetworkRecord& record) {
  return record.extra.value(kSysctls, std::vector<std::string>{});
}

std::vector<std::string> recorded_gateways(const ipam::NetworkRecord& record) {
  return record.extra.value(kGateways, std::vector<std::string>{});
}

iptables::NetworkPolicy merge_policy(const ipam::NetworkRecord& record, const NetworkPlan& plan) {
  iptables::NetworkPolicy policy = record.policy.is_object() ? policy_from_json(record.policy) : plan.policy;
  policy.network = plan.name;
  policy.publishes = policy.publishes || plan.policy.publishes;
  add_missing(policy.masquerade, plan.policy.masquerade);
  policy.ingress = plan.ingress.value_or(policy.ingress);
  policy.tunnelled = policy.tunnelled || plan.policy.tunnelled;
  if (!plan.is_main && !record.driver.empty()) return policy;
  policy.link = plan.policy.link;
  policy.masquerade_exclude = plan.policy.masquerade_exclude;
  policy.isolated = plan.policy.isolated;
  policy.internal = plan.policy.internal;
  return policy;
}

iptables::NetworkPolicy with_link_mates(const ipam::Transaction& store, iptables::NetworkPolicy policy) {
  if (policy.link.empty()) return policy;
  for (const ipam::NetworkRecord& other : store.list_networks()) {
    if (other.name == policy.network || !other.policy.is_object() || is_leaving(other)) continue;
    const iptables::NetworkPolicy mate = policy_from_json(other.policy);
    if (mate.link != policy.link) continue;
    policy.publishes = policy.publishes || mate.publishes;
    policy.isolated = policy.isolated || mate.isolated;
    policy.internal = policy.internal || mate.internal;
    policy.ingress = std::max(policy.ingress, mate.ingress);
  }
  return policy;
}

}  // namespace netctl::engine
