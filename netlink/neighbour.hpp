#pragma once
// Who is where: entries of bridges' and VTEPs' forwarding databases, and neighbours (ARP, ND). Requests are pure; the
// socket that sends them decides in which namespace they act.

#include <cstdint>
#include <vector>

#include "base/ip_address.hpp"
#include "base/mac_address.hpp"
#include "netlink/socket.hpp"

namespace netctl::netlink {

/// A static entry in the forwarding database of the bridge that `port_index` is enslaved to (NTF_MASTER): it does not age
/// and goes with the port. An entry that is there already, learned or static, is replaced.
[[nodiscard]] Request add_bridge_fdb(std::uint32_t port_index, const MacAddress& mac);
/// Forgets what `link_index` knows of `address` (ARP/ND). ENOENT is tolerated.
[[nodiscard]] Request delete_neighbour(std::uint32_t link_index, const IpAddress& address);

/// Of a VXLAN device's own forwarding database (NTF_SELF): frames to `mac` go to the VTEP at `vtep`.
struct VtepEntry {
  MacAddress mac;
  IpAddress vtep;

  auto operator<=>(const VtepEntry&) const = default;
};

/// Permanent. An entry of the same hardware address is replaced, whatever VTEP it named. Errors of the kernel: EAFNOSUPPORT
/// when the device's own address is of the other IP version.
[[nodiscard]] Request put_vtep_entry(std::uint32_t vxlan_index, const VtepEntry& entry);
/// Only the entry with this very VTEP. ENOENT is tolerated.
[[nodiscard]] Request delete_vtep_entry(std::uint32_t vxlan_index, const VtepEntry& entry);
/// All entries of the device, one for each VTEP that a hardware address leads to; a dump.
[[nodiscard]] std::vector<VtepEntry> list_vtep_entries(Socket& socket, std::uint32_t vxlan_index);

/// `address` on a link has the hardware address `mac`, for good (NUD_PERMANENT): nobody has to ask.
struct Neighbour {
  IpAddress address;
  MacAddress mac;

  auto operator<=>(const Neighbour&) const = default;
};

/// What is known of the same address, permanent or not, is replaced.
[[nodiscard]] Request put_neighbour(std::uint32_t link_index, const Neighbour& neighbour);
/// The permanent ones of a link, both families; a dump.
[[nodiscard]] std::vector<Neighbour> list_permanent_neighbours(Socket& socket, std::uint32_t link_index);

}  // namespace netctl::netlink
