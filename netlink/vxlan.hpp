#pragma once
// VXLAN devices (RFC 7348; drivers/net/vxlan): the local end of a tunnel, a VTEP. Forwarding entries are in neighbour.hpp.

#include <cstdint>
#include <optional>
#include <string>

#include "netlink/link.hpp"

namespace netctl::netlink {

/// Learning is always off: who is behind which VTEP is programmed, so that nothing can be stale or forged.
struct VxlanSpec {
  std::string name;
  MacAddress mac;  ///< always given: udev and the kernel's random address would make peers' entries wrong
  std::uint32_t vni = 0;             ///< below 2^24
  std::uint16_t port = 4789;         ///< UDP, host order; the kernel's own default (8472) is never used
  IpAddress local;                   ///< the source address of the outer packets
  std::uint32_t underlay_index = 0;  ///< the link that has `local`: without it the kernel limits no MTU
  std::uint32_t mtu_bytes = 0;       ///< of the inner packets; 0 = what the kernel derives from the underlay
  std::uint32_t master_index = 0;    ///< bridge to be enslaved to; 0 = none
  bool proxy =
      false;  ///< answers ARP and ND for its neighbour entries itself, so that no broadcast leaves the host

  auto operator<=>(const VxlanSpec&) const = default;
};

/// Created down, so that alias and guards come before the first packet. EEXIST: the name, or VNI and port, are taken in the
/// namespace (a device keeps them wherever it is moved to).
[[nodiscard]] Request create_vxlan(const VxlanSpec& spec);

/// What a VXLAN device says of itself.
struct Vxlan {
  Link link;
  std::uint32_t vni = 0;
  std::uint16_t port = 0;  ///< host order
  std::optional<IpAddress> local;
  std::uint32_t underlay_index = 0;
  bool learning = false;
  bool proxy = false;
};

/// nullopt when the link is no VXLAN device. Errors: kKernel when the message is cut off.
[[nodiscard]] std::optional<Vxlan> parse_vxlan(const Reply& reply);

/// One message. nullopt when there is no such link, or it is of another kind.
[[nodiscard]] std::optional<Vxlan> find_vxlan(Socket& socket, const std::string& name);
/// The device that holds VNI and port in the socket's namespace; a dump, for the error's sentence.
[[nodiscard]] std::optional<Vxlan> find_vxlan(Socket& socket, std::uint32_t vni, std::uint16_t port);

}  // namespace netctl::netlink
