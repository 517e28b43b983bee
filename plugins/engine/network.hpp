#pragma once
// What a network's attachments share: the bridge, its addresses, host sysctls, the network's rules. Made by the first
// ADD that needs it, removed with the last attachment.

#include <functional>
#include <string>

#include "plugins/engine/host.hpp"
#include "plugins/engine/plan.hpp"

namespace netctl::engine {

struct SharedNetwork {
  std::uint32_t bridge_index = 0;  ///< 0: the plan has no bridge
  std::string bridge_mac;
  std::string gateway_mac;  ///< of the gateway's interface in a VLAN; empty: the bridge is the gateway
};

/// Brings the network to what the plan wants. The caller's attachment is in the store already, which keeps the network from
/// being removed; `seen` is the network's record as it stood in that same transaction. On the usual path nothing is
/// to do and this costs one look-up of an index; making or mending anything happens under the network lock. A bridge
/// that was deleted by hand is made anew with the living host ends enslaved again. Idempotent. Errors: kInvalidConfig
/// (the name belongs to something that is no bridge; the bridge has another address and forceAddress is off),
/// kSubnetUnavailable, kKernel, kTryAgainLater.
SharedNetwork ensure_network(Host& host, const NetworkPlan& plan,
                             const std::optional<ipam::NetworkRecord>& seen);

/// Puts the ports' elements beside the network's own; makes the table anew from the store when it was flushed by hand.
/// Errors: those of PolicyTable::put.
void put_policy(Host& host, const iptables::NetworkPolicy& policy,
                const std::vector<iptables::PublishedPort>& ports);

/// Deletes the ports' elements.
void withdraw_ports(Host& host, const std::vector<iptables::PublishedPort>& ports);

/// Deletes the elements of the link that this attachment had to itself, but for what `left` (of the same attachment) and
/// other attachments behind the same link still need. nullopt: nothing is left of it. Idempotent.
void withdraw_link(Host& host, const ipam::AttachmentRecord& record,
                   const std::optional<ipam::AttachmentRecord>& left);

/// Makes anew what the network's record says and something took away or changed by hand: bridge, gateways, sysctls, rules
/// with all published ports, the overlay's device and entries. What is right is left as it is. False when the network is not
/// set up here: nothing is done then.
/// Errors: those of ensure_network(). An overlay whose lease is gone or damaged is left as it is: CHECK says so.
bool repair_network(Host& host, const std::string& network);

/// Sets the network up without an attachment; when the plan says that it is held, it stays without any.
void hold_network(Host& host, const NetworkPlan& plan);
/// It is held no longer: goes at once without attachments, else with its last one. Idempotent.
void release_network(Host& host, const std::string& network);

/// The same where others may publish ports of the same container: what theirs need, too, is kept.
using StayingPorts = std::function<std::vector<iptables::PublishedPort>(const ipam::Transaction& store)>;
void withdraw_ports_beside(Host& host, const std::vector<iptables::PublishedPort>& ports,
                           const StayingPorts& find_staying);

/// Removes bridge (when it was created, not adopted), rules, changed sysctls and record of a network without attachments.
/// Does nothing when it has some. Idempotent. Errors: kTryAgainLater when the network lock stays taken; kKernel.
void remove_network_if_unused(Host& host, const std::string& network);

}  // namespace netctl::engine
