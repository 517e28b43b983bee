#pragma once
// The keys of an overlay, as the plugin, the agent and `netctl` read them. The same text may stand on all hosts: what
// differs (the node's name, its VTEP) follows from the host or from the list of nodes.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "netlink/socket.hpp"
#include "plugins/overlay/control/lease.hpp"

namespace netctl::overlay {

enum class Source { kStatic, kDirectory, kEtcd, kEvpn };

struct OverlayConfig {
  std::string network;
  Mode mode = Mode::kRouted;
  std::uint32_t vni = 0;
  std::uint16_t port = 4789;      ///< UDP, host order
  std::string node;               ///< this host's name among the nodes; the host name when the key is absent
  std::optional<IpAddress> vtep;  ///< of the underlay, when the key `vtep` is an address
  std::string vtep_interface;     ///< when it is the name of an interface
  std::vector<IpPrefix> subnets;  ///< of the whole overlay, at most one a family, without host bits
  std::uint8_t block_length_v4 = 24;  ///< what a node claims; 28 in l2
  std::uint8_t block_length_v6 = 64;  ///< 124 in l2
  std::uint32_t mtu_bytes = 0;        ///< of inner packets; 0: what the underlay leaves
  bool encrypted = false;
  Source source = Source::kStatic;
  /// The object `source` without its `type`: what the source itself has to know. Whoever implements it reads it, and refuses
  /// what it does not know.
  nlohmann::json source_options = nlohmann::json::object();
  std::vector<Node> nodes;  ///< source static: all nodes; else empty

  /// Changes with every key above; stands in the leases that are made of it.
  [[nodiscard]] std::string digest() const;
};

/// Reads the configuration of the plugin (an element of `plugins`) for the network of that name. Asks neither kernel nor
/// network; only the host's name is looked at.
/// Errors: kInvalidConfig with the key's name; kUnsupportedField for what this version does not do.
[[nodiscard]] OverlayConfig read_overlay_config(const nlohmann::json& json, const std::string& network);

/// "static", "dir", "etcd", "evpn".
[[nodiscard]] const char* to_string(Source source);

/// This host's lease but for what only the source can tell: blocks, revision, expiry. The VTEP's address is looked up where
/// an interface is named (the one global address of that interface), and taken from the own entry of `nodes` where neither
/// is; the MTU is the underlay's minus the outer headers, or `mtu` if that is less. `socket` is of the host's namespace.
/// Errors: kInvalidConfig: no such address or interface, several addresses (named), an MTU that does not fit.
[[nodiscard]] Lease local_lease(netlink::Socket& socket, const OverlayConfig& config);

/// Source static: the lease with the own blocks of the list. Errors: as above; the own name is not in the list.
[[nodiscard]] Membership static_membership(netlink::Socket& socket, const OverlayConfig& config);

}  // namespace netctl::overlay
