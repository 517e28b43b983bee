#pragma once
// Making and removing what a network shares. Everything here runs under the network lock, held exclusive.

#include <cstdint>
#include <string>
#include <vector>

#include "plugins/engine/host.hpp"
#include "plugins/engine/plan.hpp"

namespace netctl::engine {

/// When this is switched, the kernel switches other sysctls with it.
inline constexpr const char* kForwarding = "ipv4/ip_forward";

/// Idempotent. The record is written first, so that a crash leaves nothing that gc does not know of. Returns the record.
ipam::NetworkRecord set_up_network(Host& host, const NetworkPlan& plan);

/// Nothing happens when the network has attachments or no record. The record is made unusable in the transaction that finds
/// no attachment: an ADD that comes later sees that there is something to set up, and waits for the lock. Idempotent.
void tear_down_network(Host& host, const std::string& network);

/// What a network without attachments is kept for: an agent set it up, and takes it down.
[[nodiscard]] bool is_held(const ipam::NetworkRecord& record);
void mark_released(ipam::NetworkRecord& record);
/// The digest of the membership that was programmed last; empty when there is no overlay, or none was.
[[nodiscard]] std::string recorded_membership(const ipam::NetworkRecord& record);

/// What the network's policy is once this plan is part of it: subnets add up, the configuration's switches win, and a plan
/// of a chained plugin leaves the main plugin's switches alone.
[[nodiscard]] iptables::NetworkPolicy merge_policy(const ipam::NetworkRecord& record,
                                                   const NetworkPlan& plan);

/// The policy with the switches of every network on the same link beside its own: the table's sets of links know no
/// networks, and the stricter one counts.
[[nodiscard]] iptables::NetworkPolicy with_link_mates(const ipam::Transaction& store,
                                                      iptables::NetworkPolicy policy);

/// The elements of the link that an attachment has to itself (see policy_link()); nullopt when it has none, or its network
/// no rules.
[[nodiscard]] std::optional<iptables::NetworkPolicy> link_policy(const ipam::Transaction& store,
                                                                 const ipam::AttachmentRecord& record);

/// Everything that the record lists was made. (A network without a bridge has no index that would tell.)
[[nodiscard]] bool is_settled(const ipam::NetworkRecord& record);
/// Interface index of the bridge that the record's settings were applied to; 0 while they are being applied.
[[nodiscard]] std::uint32_t recorded_bridge_index(const ipam::NetworkRecord& record);
/// Those of the gateways that the bridge did not have before this network.
[[nodiscard]] std::vector<std::string> added_gateways(const ipam::NetworkRecord& record);
void note_added_gateway(ipam::NetworkRecord& record, const std::string& gateway);
void mark_leaving(ipam::NetworkRecord& record);
/// Its last attachment is gone and it is being removed, or was when its process died.
[[nodiscard]] bool is_leaving(const ipam::NetworkRecord& record);
/// What the main plugin's configuration says of published ports on 127.0.0.1; a chained plugin goes by it.
[[nodiscard]] bool recorded_localhost_publish(const ipam::NetworkRecord& record);
/// VLANs: whether the bridge filters them for this network, and the interface that has the gateway's address instead of the
/// bridge; empty when it is the bridge.
[[nodiscard]] bool recorded_vlan_filtering(const ipam::NetworkRecord& record);
[[nodiscard]] bool recorded_keeps_default_vlan(const ipam::NetworkRecord& record);
[[nodiscard]] std::string recorded_gateway_link(const ipam::NetworkRecord& record);
[[nodiscard]] std::string recorded_gateway_mac(const ipam::NetworkRecord& record);
[[nodiscard]] std::string recorded_bridge_mac(const ipam::NetworkRecord& record);
[[nodiscard]] std::vector<std::string> recorded_gateways(const ipam::NetworkRecord& record);
/// "path=value" of every host sysctl that was set for it.
[[nodiscard]] std::vector<std::string> recorded_sysctls(const ipam::NetworkRecord& record);

}  // namespace netctl::engine
