#pragma once
// The VTEP of an overlay on this host: its VXLAN device, made, compared, mended and removed.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "netlink/vxlan.hpp"
#include "plugins/overlay/control/lease.hpp"
#include "plugins/overlay/control/reconcile.hpp"

namespace netctl::overlay {

/// "nv" and 13 hex digits of the network's name.
[[nodiscard]] std::string vtep_ifname(const std::string& network);
[[nodiscard]] std::string vtep_alias(const std::string& network);

/// routed: the addresses of the device itself, the first of each block.
[[nodiscard]] std::vector<IpPrefix> vtep_addresses(const Lease& lease);

/// A link of the host with the address of the underlay.
struct Underlay {
  std::uint32_t index = 0;
  std::string name;
  std::uint32_t mtu_bytes = 0;
};

/// The link that has this address; one message a link. Errors: kInvalidConfig when no link has it.
[[nodiscard]] Underlay find_underlay(netlink::Socket& socket, const IpAddress& vtep);
/// The address of that interface to use as the VTEP's: its one global IPv4 address, or its one global IPv6 address if it has
/// no IPv4 one. Errors: kInvalidConfig when the interface is not there, has none, or has several (naming them): which one
/// peers know is not guessed.
[[nodiscard]] IpAddress address_of_interface(netlink::Socket& socket, const std::string& ifname);

/// Makes the device, or replaces one of ours that is made otherwise, sets it up and brings its entries to what the nodes
/// say. `bridge_index` is that of the containers' bridge, whose port it becomes in l2. What is right already is left as it
/// is. Acts in the socket's namespace, the calling thread must be in the same one (sysctls). Returns the device's index.
/// Errors: kInvalidConfig (name, or VNI and port, are somebody else's: names it), kTryAgainLater, kKernel.
std::uint32_t ensure_vtep(netlink::Socket& socket, const Membership& membership, std::uint32_t bridge_index);

/// Deletes the device with its entries, if it is ours; the routes over it are gone with it. Idempotent.
void remove_vtep(netlink::Socket& socket, const std::string& network);

/// What differs from the membership, a sentence each. Changes nothing.
[[nodiscard]] std::vector<std::string> find_vtep_drift(netlink::Socket& socket, const Membership& membership,
                                                       std::uint32_t bridge_index);

}  // namespace netctl::overlay
