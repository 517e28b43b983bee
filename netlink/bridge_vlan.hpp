#pragma once
// VLAN filtering of bridges (802.1Q): which VLANs pass through a port, and with or without a tag.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "netlink/socket.hpp"

namespace netctl::netlink {

/// VLANs `first` to `last` of a port. Frames without a tag belong to the one with `pvid` (at most one of a port); those of
/// an `untagged` one leave without their tag.
struct BridgeVlans {
  std::uint16_t first = 1;
  std::uint16_t last = 1;
  bool pvid = false;
  bool untagged = false;

  auto operator<=>(const BridgeVlans&) const = default;
};

/// Whether this kernel's bridges can filter VLANs (CONFIG_BRIDGE_VLAN_FILTERING): asked by listing the VLANs of all ports,
/// which changes nothing. Errors: kKernel.
[[nodiscard]] bool has_bridge_vlans(Socket& socket);

/// Switches the filter of a bridge on. Errors: EOPNOTSUPP where the kernel has none.
[[nodiscard]] Request set_vlan_filtering(std::uint32_t bridge_index);
/// nullopt when it is no bridge, or the kernel has no filter.
[[nodiscard]] std::optional<bool> find_vlan_filtering(Socket& socket, std::uint32_t bridge_index);

/// Adds them to a port, all in one message; what is there already gets these flags.
[[nodiscard]] Request add_bridge_vlans(std::uint32_t port_index, const std::vector<BridgeVlans>& vlans);
/// Takes them from a port. What is not there is no error.
[[nodiscard]] Request delete_bridge_vlans(std::uint32_t port_index, const std::vector<BridgeVlans>& vlans);
/// Those of one port, in order, neighbours with equal flags as one range. A dump. Empty where the kernel has none.
[[nodiscard]] std::vector<BridgeVlans> list_bridge_vlans(Socket& socket, std::uint32_t port_index);

}  // namespace netctl::netlink
