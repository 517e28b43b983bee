#pragma once

#include <cstdint>

#include "base/ip_address.hpp"
#include "base/mac_address.hpp"
#include "netlink/socket.hpp"

namespace netctl::netlink {

/// A static entry in the forwarding database of the bridge that `port_index` is enslaved to (NTF_MASTER): it does not age
/// and goes with the port. An entry that is there already, learned or static, is replaced.
[[nodiscard]] Request add_bridge_fdb(std::uint32_t port_index, const MacAddress& mac);
/// Forgets what `link_index` knows of `address` (ARP/ND). ENOENT is tolerated.
[[nodiscard]] Request delete_neighbour(std::uint32_t link_index, const IpAddress& address);

}  // namespace netctl::netlink
