#pragma once

#include <cstdint>
#include <vector>

#include "base/ip_address.hpp"
#include "netlink/socket.hpp"

namespace netctl::netlink {

enum class DuplicateDetection { kOff, kOn };

/// Whether the kernel adds the route to the prefix by itself. Off: the neighbours of the prefix are not on the link.
enum class PrefixRoute { kOff, kOn };

/// RTM_NEWADDR with IFA_LOCAL, IFA_ADDRESS and, for IPv4 prefixes shorter than /31, the broadcast address. IFA_F_NODAD
/// unless duplicate detection is asked for. EEXIST is tolerated: the address is there already.
[[nodiscard]] Request add_address(std::uint32_t index, const IpPrefix& address, DuplicateDetection detection,
                                  PrefixRoute prefix_route = PrefixRoute::kOn);
/// EADDRNOTAVAIL is tolerated.
[[nodiscard]] Request delete_address(std::uint32_t index, const IpPrefix& address);

/// Addresses of one link, both families, link-local included. One dump per family, filtered by the kernel.
[[nodiscard]] std::vector<IpPrefix> list_addresses(Socket& socket, std::uint32_t index);

struct LinkAddress {
  std::uint32_t link_index = 0;
  IpPrefix address;
};
/// Addresses of global scope of all links, both families. One dump per family.
[[nodiscard]] std::vector<LinkAddress> list_global_addresses(Socket& socket);

}  // namespace netctl::netlink
