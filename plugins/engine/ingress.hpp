#pragma once
// ingressPolicy of `firewall`: which bridges new connections to a container may come through. The rules belong to the
// network, in our own table, and go with its last attachment. "isolated" also parts the container's bridge port from the
// other parted ones: packets between two ports of one bridge never reach the table, unless br_netfilter hands them over.

#include "iptables/policy.hpp"
#include "plugins/engine/part.hpp"

namespace netctl::engine {

inline constexpr const char* kFirewallPart = "firewall";

struct IngressRequest {
  ipam::AttachmentKey key;
  iptables::Ingress policy = iptables::Ingress::kOpen;
  std::string bridge;                   ///< empty: the container is behind none
  std::vector<std::string> host_links;  ///< the container's port is looked for among them
};

/// The share of a firewall part's state: {"policy", "ports": names of those that were not parted before}. Null for kOpen.
/// Changes nothing. Errors: kInvalidConfig without a bridge, for kIsolated also without a port of it.
[[nodiscard]] nlohmann::json prepare_ingress(Host& host, const IngressRequest& request);

/// Gives the network this policy, the newest configuration counting for all its containers; parts the ports of `state`.
/// Errors: those of ensure_network().
void apply_ingress(Host& host, const IngressRequest& request, const ipam::AttachmentRecord& record,
                   const nlohmann::json& state);

/// Joins the ports again, as far as they are there. What the network has stays until its last attachment goes. Idempotent.
void undo_ingress(Host& host, const nlohmann::json& state);

[[nodiscard]] std::vector<std::string> ingress_drift(Host& host, const ipam::AttachmentRecord& record,
                                                     const nlohmann::json& state);

/// The container's bridge port is parted by its share of `firewall`, whatever `bridge` asked for.
[[nodiscard]] bool has_parted_port(const ipam::AttachmentRecord& record);

}  // namespace netctl::engine
