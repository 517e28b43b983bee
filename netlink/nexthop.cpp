#include "netlink/nexthop.hpp"

#include <sys/socket.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>

#include "netlink/route.hpp"

namespace netctl::netlink {
namespace {

constexpr Attr<NHA_ID, std::uint32_t> kId{};
constexpr Attr<NHA_GATEWAY, IpAddress> kGateway{};
constexpr Attr<NHA_OIF, std::uint32_t> kLink{};
constexpr Attr<RTA_DST, IpAddress> kDestination{};
constexpr Attr<RTA_NH_ID, std::uint32_t> kNexthop{};
constexpr Attr<RTAX_MTU, std::uint32_t> kMetricMtu{};

bool is_ours(std::uint32_t id) { return id >= kFirstNexthopId && id <= kLastNexthopId; }

void put_route(Request& request, const NexthopRoute& route, std::uint8_t scope, std::uint8_t type) {
  auto& header = request.header<rtmsg>();
  header.rtm_family = route.destination.address.af();
  header.rtm_dst_len = route.destination.length;
  header.rtm_table = RT_TABLE_MAIN;
  header.rtm_protocol = kRouteProtocol;
  header.rtm_scope = scope;
  header.rtm_type = type;
  if (route.destination.length > 0) request.put(kDestination, route.destination.first());
  request.put(kNexthop, route.nexthop_id);
}

std::optional<NexthopRoute> parse_nexthop_route(const Reply& reply) {
  const auto header = reply.header<rtmsg>();
  const bool wanted = reply.type == RTM_NEWROUTE && header.rtm_table == RT_TABLE_MAIN &&
                      header.rtm_protocol == kRouteProtocol && header.rtm_type == RTN_UNICAST;
  if (!wanted) return std::nullopt;
  const Bytes attributes = reply.attributes<rtmsg>();
  const auto nexthop = find_attribute(attributes, RTA_NH_ID);
  if (!nexthop || !is_ours(nexthop->u32())) return std::nullopt;
  NexthopRoute route;
  route.nexthop_id = nexthop->u32();
  route.destination = {IpAddress::any(header.rtm_family == AF_INET ? Family::kIpv4 : Family::kIpv6),
                       header.rtm_dst_len};
  if (const auto destination = find_attribute(attributes, RTA_DST))
    route.destination.address = destination->ip();
  const auto metrics = find_attribute(attributes, RTA_METRICS);
  const auto mtu = metrics ? find_attribute(metrics->payload, RTAX_MTU) : std::nullopt;
  if (mtu && mtu->u32() != 0) route.mtu_bytes = mtu->u32();
  return route;
}

}  // namespace

Request put_nexthop(const Nexthop& nexthop) {
  Request request(
      RTM_NEWNEXTHOP, NLM_F_CREATE | NLM_F_REPLACE,
      "put the nexthop " + nexthop.gateway.to_string() + " on link " + std::to_string(nexthop.link_index));
  auto& header = request.header<nhmsg>();
  header.nh_family = nexthop.gateway.af();
  header.nh_protocol = kRouteProtocol;
  header.nh_flags = RTNH_F_ONLINK;
  request.put(kId, nexthop.id).put(kGateway, nexthop.gateway).put(kLink, nexthop.link_index);
  return request;
}

Request delete_nexthop(std::uint32_t id) {
  Request request(RTM_DELNEXTHOP, 0, "delete the nexthop " + std::to_string(id));
  request.header<nhmsg>();
  request.put(kId, id);
  request.tolerate({ENOENT});  // gone with its link, or by hand
  return request;
}

std::vector<Nexthop> list_nexthops(Socket& socket) {
  Request request(RTM_GETNEXTHOP, 0, "list the nexthops");
  request.header<nhmsg>();
  std::vector<Nexthop> nexthops;
  for (const Reply& reply : socket.dump(request)) {
    if (reply.type != RTM_NEWNEXTHOP) continue;
    const Bytes attributes = reply.attributes<nhmsg>();
    const auto id = find_attribute(attributes, NHA_ID);
    const auto gateway = find_attribute(attributes, NHA_GATEWAY);
    const auto link = find_attribute(attributes, NHA_OIF);
    if (!id || !gateway || !link || !is_ours(id->u32())) continue;
    nexthops.push_back({id->u32(), gateway->ip(), link->u32()});
  }
  return nexthops;
}

Request put_nexthop_route(const NexthopRoute& route) {
  Request request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE,
                  "put the route to " + route.destination.to_string());
  put_route(request, route, RT_SCOPE_UNIVERSE, RTN_UNICAST);
  // Said even when there is none (0): a route without metrics that replaces one with some would keep them, because the
  // kernel shares what it knows of routes over one nexthop, not comparing it (fib_semantics.c, fib_find_info_nh).
  request.nest(RTA_METRICS,
               [&route](Request& metrics) { metrics.put(kMetricMtu, route.mtu_bytes.value_or(0)); });
  return request;
}

Request delete_nexthop_route(const NexthopRoute& route) {
  Request request(RTM_DELROUTE, 0, "delete the route to " + route.destination.to_string());
  put_route(request, route, RT_SCOPE_NOWHERE, RTN_UNSPEC);  // of any scope and type
  request.tolerate({ESRCH});                                // gone with its nexthop, or by hand
  return request;
}

std::vector<NexthopRoute> list_nexthop_routes(Socket& socket) {
  std::vector<NexthopRoute> routes;
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    Request request(RTM_GETROUTE, 0, "list the routes over nexthops");
    auto& filter = request.header<rtmsg>();
    filter.rtm_family = IpAddress::any(family).af();
    filter.rtm_table = RT_TABLE_MAIN;
    filter.rtm_protocol = kRouteProtocol;
    // No such table: a namespace in which no route was ever made. The others: a kernel without IPv6.
    request.tolerate({ENOENT, EOPNOTSUPP, EAFNOSUPPORT});
    for (const Reply& reply : socket.dump(request)) {
      if (auto route = parse_nexthop_route(reply)) routes.push_back(*route);
    }
  }
  return routes;
}

}  // namespace netctl::netlink
