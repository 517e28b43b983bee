#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/ip_address.hpp"
#include "netlink/socket.hpp"

namespace netctl::netlink {

/// rtm_protocol of every route that this product makes: `ip route show proto 110` lists them.
inline constexpr std::uint8_t kRouteProtocol = 110;

/// A route of the main table unless `table` says otherwise. Host bits of `destination` are cleared by the builder.
struct Route {
  IpPrefix destination;
  std::optional<IpAddress> gateway;  ///< same family as the destination
  std::uint32_t link_index = 0;
  std::optional<std::uint32_t> table;
  std::optional<std::uint8_t> scope;  ///< RT_SCOPE_*; default: link without a gateway, universe with one
  std::optional<std::uint32_t> priority;
  std::optional<std::uint32_t> mtu_bytes;
  std::optional<std::uint32_t> advertised_mss_bytes;
  std::optional<IpAddress>
      preferred_source;  ///< of packets that name none; not read back (the kernel sets it, too)
  bool on_link = false;  ///< the gateway is reachable although no connected prefix covers it

  auto operator<=>(const Route&) const = default;
};

/// RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL is not used: an equal route that exists already is tolerated (EEXIST).
[[nodiscard]] Request add_route(const Route& route);
/// ESRCH is tolerated.
[[nodiscard]] Request delete_route(const Route& route);

/// Reads one RTM_NEWROUTE of the main table. What equals the kernel's default (table, scope, priority) is left empty, so
/// that a route reads as it was written; a multipath route is as many routes as it has next hops. Errors: kKernel when
/// the message is cut off.
[[nodiscard]] std::vector<Route> parse_route(const Reply& reply);

/// Unicast routes of the main table; a dump.
[[nodiscard]] std::vector<Route> list_routes(Socket& socket, Family family);
/// The link through which the host would send to `address` (RTM_GETROUTE). nullopt when unreachable.
[[nodiscard]] std::optional<std::uint32_t> find_outgoing_link(Socket& socket, const IpAddress& address);

}  // namespace netctl::netlink
