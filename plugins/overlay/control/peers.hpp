#pragma once
// Who takes part in an overlay, and what the kernel of one host has to hold so that the others are reached.
//
// Theory of operation. Every host (node) owns blocks of the overlay's subnet and gives their addresses to its containers. It
// has one VTEP, a VXLAN device whose hardware address follows from the node's name and the VNI. Nothing is learned from
// packets: whoever knows the list of nodes can work out all entries, so that the list alone is the state, a container that
// comes or goes changes nothing on other hosts, and whatever an entry should be can be compared with what it is.
//
// routed: blocks are routed. To a block of another node leads a route over a nexthop on the VTEP, the nexthop is a permanent
//         neighbour with that node's VTEP address, and the forwarding entry says which host has that VTEP.
// l2:     one subnet on all hosts, the VTEP is a port of the bridge. The hardware address of a container follows from its
//         IP address, so that the entries of all containers that a block can ever hold are made with the block. The VTEP
//         answers ARP and ND from them: no broadcast leaves the host.
//
// The outer headers take 50 bytes of the underlay's MTU (70 with IPv6): 14 inner Ethernet, 8 VXLAN, 8 UDP, 20 or 40 IP.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ip_address.hpp"
#include "base/mac_address.hpp"

namespace netctl::overlay {

enum class Mode { kRouted, kL2 };

/// A host of the overlay as all others see it.
struct Node {
  std::string name;
  IpAddress vtep;                ///< of the underlay: where the outer packets go
  std::vector<IpPrefix> blocks;  ///< of the overlay: what its containers have; without host bits
  std::optional<std::uint32_t>
      mtu_bytes;  ///< of inner packets, where the way to it is narrower than elsewhere

  auto operator<=>(const Node&) const = default;
};

/// In l2, a block is as many entries as it has addresses.
inline constexpr unsigned kLargestL2BlockBits = 10;

/// Errors: kInvalidConfig, naming both sides: two nodes with one name, one VTEP address for two nodes, VTEPs of different IP
/// versions or inside of `subnets`, overlapping blocks, a block of less than four addresses, outside of `subnets` or with
/// host bits, an l2 block of more than 1,024 addresses, l2 blocks of both IP versions that do not come in pairs.
void validate_nodes(const std::vector<Node>& nodes, const std::vector<IpPrefix>& subnets, Mode mode);

/// Hardware address of the VTEP that the node has for this VNI.
[[nodiscard]] MacAddress vtep_mac(const std::string& node, std::uint32_t vni);

/// l2: of the bridge that a node's containers have as their gateway.
[[nodiscard]] MacAddress gateway_mac(const std::string& node, std::uint32_t vni);

/// A block's first address is the VTEP's (routed), or nobody's; the second one is the gateway of the node's containers.
[[nodiscard]] IpAddress gateway_in(const IpPrefix& block);

/// l2: of the container with this address: 02:42 and the four bytes of an IPv4 address, as Docker's; of an IPv6 address
/// 02:4a and its last four bytes, mixed with the rest.
[[nodiscard]] MacAddress container_mac(const IpAddress& address);

/// What outer headers take of the underlay's MTU.
[[nodiscard]] constexpr std::uint32_t overhead_bytes(Family underlay) {
  return underlay == Family::kIpv4 ? 50 : 70;
}

/// What ESP with AES-GCM takes besides (RFC 4303, RFC 4106): 8 header, 8 initialisation vector, at most 3 padding, 2
/// trailer, 16 integrity check value; rounded up to whole words.
inline constexpr std::uint32_t kEncryptionBytes = 40;

/// l2 with both IP versions: what follows from a container's IPv4 address, which lies in one of the node's `blocks`: its
/// IPv6 address at the same place of the IPv6 block that belongs to the IPv4 one (the first to the first, and so on), and
/// the gateway there. nullopt without IPv6 blocks.
struct PairedAddress {
  IpAddress address;
  IpAddress gateway;
};
[[nodiscard]] std::optional<PairedAddress> paired_address(const std::vector<IpPrefix>& blocks,
                                                          const IpAddress& address);

/// routed: the neighbour that stands for the node: its block's first address, or for IPv6 the link-local address of its
/// VTEP.
[[nodiscard]] IpAddress gateway_to(const IpPrefix& block, const MacAddress& vtep);

}  // namespace netctl::overlay
