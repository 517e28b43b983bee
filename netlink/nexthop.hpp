#pragma once
// Nexthop objects (Linux 5.3) and the routes that name them: thousands of routes with a gateway each would cost the kernel
// quadratic time, because it keeps plain routes' gateways in lists by link.

#include <cstdint>
#include <optional>
#include <vector>

#include "base/ip_address.hpp"
#include "netlink/socket.hpp"

namespace netctl::netlink {

/// Ids of ours: 0x6e000000 ("n") to 0x6effffff. Ids are one space for the whole namespace.
inline constexpr std::uint32_t kFirstNexthopId = 0x6e000000;
inline constexpr std::uint32_t kLastNexthopId = 0x6effffff;

struct Nexthop {
  std::uint32_t id = 0;
  IpAddress gateway;
  std::uint32_t link_index = 0;

  auto operator<=>(const Nexthop&) const = default;
};

/// Gateway on the link whatever prefixes it has (onlink). The link has to be up. One with the same id is replaced.
[[nodiscard]] Request put_nexthop(const Nexthop& nexthop);
/// The routes over it go too. ENOENT is tolerated.
[[nodiscard]] Request delete_nexthop(std::uint32_t id);
/// Those with ids of ours, whatever their link; a dump.
[[nodiscard]] std::vector<Nexthop> list_nexthops(Socket& socket);

/// A route of the main table over a nexthop object.
struct NexthopRoute {
  IpPrefix destination;  ///< without host bits
  std::uint32_t nexthop_id = 0;
  std::optional<std::uint32_t> mtu_bytes;  ///< where the way is narrower than the link

  auto operator<=>(const NexthopRoute&) const = default;
};

/// A route to the same destination is replaced, whoever made it.
[[nodiscard]] Request put_nexthop_route(const NexthopRoute& route);
/// ESRCH is tolerated.
[[nodiscard]] Request delete_nexthop_route(const NexthopRoute& route);
/// Those of our protocol whose nexthop has an id of ours, both families; a dump.
[[nodiscard]] std::vector<NexthopRoute> list_nexthop_routes(Socket& socket);

}  // namespace netctl::netlink
