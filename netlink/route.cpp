#include "netlink/route.hpp"

#include <sys/socket.h>
#include <linux/rtnetlink.h>

#include <algorithm>

namespace netctl::netlink {
namespace {

constexpr Attr<RTA_DST, IpAddress> kDestination{};
constexpr Attr<RTA_GATEWAY, IpAddress> kGateway{};
constexpr Attr<RTA_OIF, std::uint32_t> kLink{};
constexpr Attr<RTA_PREFSRC, IpAddress> kPreferredSource{};
constexpr Attr<RTA_PRIORITY, std::uint32_t> kPriority{};
constexpr Attr<RTA_TABLE, std::uint32_t> kTable{};
constexpr Attr<RTAX_MTU, std::uint32_t> kMetricMtu{};
constexpr Attr<RTAX_ADVMSS, std::uint32_t> kMetricMss{};

// What the kernel gives an IPv6 route that names no priority (IP6_RT_PRIO_USER).
constexpr std::uint32_t kDefaultPriorityV6 = 1024;

std::uint8_t default_scope(const Route& route) {
  if (!route.destination.address.is_v4()) return RT_SCOPE_UNIVERSE;  // IPv6 knows no scope of routes
  return route.gateway ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
}

std::string describe(const Route& route) {
  std::string text = "route " + route.destination.network().to_string();
  if (route.gateway) text += " via " + route.gateway->to_string();
  return text + " on link " + std::to_string(route.link_index);
}

void put_metrics(Request& request, const Route& route) {
  if (!route.mtu_bytes && !route.advertised_mss_bytes) return;
  request.nest(RTA_METRICS, [&route](Request& metrics) {
    if (route.mtu_bytes) metrics.put(kMetricMtu, *route.mtu_bytes);
    if (route.advertised_mss_bytes) metrics.put(kMetricMss, *route.advertised_mss_bytes);
  });
}

/// `scope` is what counts when the route does not name one.
void put_header(Request& request, const Route& route, std::uint8_t scope) {
  const std::uint32_t table = route.table.value_or(RT_TABLE_MAIN);
  auto& header = request.header<rtmsg>();
  header.rtm_family = route.destination.address.af();
  header.rtm_dst_len = route.destination.length;
  header.rtm_table = static_cast<std::uint8_t>(table < 256 ? table : RT_TABLE_UNSPEC);
  header.rtm_protocol = kRouteProtocol;
  header.rtm_scope = route.scope.value_or(scope);
  header.rtm_type = RTN_UNICAST;
  header.rtm_flags = route.on_link ? RTNH_F_ONLINK : 0;
  if (table >= 256) request.put(kTable, table);
}

void put_route(Request& request, const Route& route, std::uint8_t scope) {
  put_header(request, route, scope);
  if (route.destination.length > 0) request.put(kDestination, route.destination.first());
  if (route.gateway) request.put(kGateway, *route.gateway);
  if (route.link_index != 0) request.put(kLink, route.link_index);
  if (route.priority) request.put(kPriority, *route.priority);
  if (route.preferred_source) request.put(kPreferredSource, *route.preferred_source);
  put_metrics(request, route);
}

void read_metrics(Bytes metrics, Route& route) {
  if (const auto mtu = find_attribute(metrics, RTAX_MTU)) route.mtu_bytes = mtu->u32();
  if (const auto mss = find_attribute(metrics, RTAX_ADVMSS)) route.advertised_mss_bytes = mss->u32();
}

std::vector<Route> read_next_hops(Bytes hops, const Route& common) {
  std::vector<Route> routes;
  while (hops.size() >= sizeof(rtnexthop)) {
    rtnexthop hop{};
    std::copy_n(hops.begin(), sizeof hop, reinterpret_cast<std::uint8_t*>(&hop));
    if (hop.rtnh_len < sizeof hop || hop.rtnh_len > hops.size()) {
      throw Error(ErrorCode::kKernel, "the kernel's answer holds a next hop that is cut off");
    }
    Route route = common;
    route.link_index = static_cast<std::uint32_t>(hop.rtnh_ifindex);
    route.on_link = (hop.rtnh_flags & RTNH_F_ONLINK) != 0;
    const Bytes attributes = hops.subspan(sizeof hop, hop.rtnh_len - sizeof hop);
    if (const auto gateway = find_attribute(attributes, RTA_GATEWAY)) route.gateway = gateway->ip();
    routes.push_back(route);
    hops = hops.subspan(std::min<std::size_t>(hops.size(), RTNH_ALIGN(hop.rtnh_len)));
  }
  return routes;
}

}  // namespace

Request add_route(const Route& route) {
  Request request(RTM_NEWROUTE, NLM_F_CREATE, "add " + describe(route));
  put_route(request, route, default_scope(route));
  request.tolerate({EEXIST});  // without NLM_F_EXCL the kernel says this of an equal route only
  return request;
}

Request delete_route(const Route& route) {
  Request request(RTM_DELROUTE, 0, "delete " + describe(route));
  put_route(request, route, RT_SCOPE_NOWHERE);  // any scope
  request.tolerate({ESRCH});                    // gone already, with its link or by hand
  return request;
}

std::vector<Route> parse_route(const Reply& reply) {
  const auto header = reply.header<rtmsg>();
  Route route;
  route.destination = {IpAddress::any(header.rtm_family == AF_INET ? Family::kIpv4 : Family::kIpv6),
                       header.rtm_dst_len};
  route.on_link = (header.rtm_flags & RTNH_F_ONLINK) != 0;
  std::optional<Bytes> hops;
  for (const Attribute& attribute : parse_attributes(reply.attributes<rtmsg>())) {
    switch (attribute.type) {
      case RTA_DST:
        route.destination.address = attribute.ip();
        break;
      case RTA_GATEWAY:
        route.gateway = attribute.ip();
        break;
      case RTA_OIF:
        route.link_index = attribute.u32();
        break;
      case RTA_PRIORITY:
        route.priority = attribute.u32();
        break;
      case RTA_METRICS:
        read_metrics(attribute.payload, route);
        break;
      case RTA_MULTIPATH:
        hops = attribute.payload;
        break;
      default:
        break;
    }
  }
  if (route.destination.length > route.destination.address.bits()) {
    throw Error(ErrorCode::kKernel, "the kernel's answer holds a prefix longer than its address");
  }
  const std::uint32_t default_priority = route.destination.address.is_v4() ? 0 : kDefaultPriorityV6;
  if (route.priority == default_priority) route.priority.reset();
  std::vector<Route> routes = hops ? read_next_hops(*hops, route) : std::vector<Route>{route};
  for (Route& each : routes) {
    if (header.rtm_scope != default_scope(each)) each.scope = header.rtm_scope;
  }
  return routes;
}

std::vector<Route> list_routes(Socket& socket, Family family) {
  Request request(RTM_GETROUTE, 0, "list the routes");
  auto& filter = request.header<rtmsg>();
  filter.rtm_family = IpAddress::any(family).af();
  filter.rtm_table = RT_TABLE_MAIN;
  filter.rtm_type = RTN_UNICAST;
  // No such table: a namespace in which no route was ever made. The others: a kernel without IPv6.
  request.tolerate({ENOENT, EOPNOTSUPP, EAFNOSUPPORT});
  std::vector<Route> routes;
  for (const Reply& reply : socket.dump(request)) {
    if (reply.type != RTM_NEWROUTE) continue;
    const auto header = reply.header<rtmsg>();
    const bool wanted = header.rtm_family == filter.rtm_family && header.rtm_table == RT_TABLE_MAIN &&
                        header.rtm_type == RTN_UNICAST && (header.rtm_flags & RTM_F_CLONED) == 0;
    if (!wanted) continue;
    const std::vector<Route> hops = parse_route(reply);
    routes.insert(routes.end(), hops.begin(), hops.end());
  }
  return routes;
}

std::optional<std::uint32_t> find_outgoing_link(Socket& socket, const IpAddress& address) {
  Request request(RTM_GETROUTE, 0, "look up the route to " + address.to_string());
  auto& header = request.header<rtmsg>();
  header.rtm_family = address.af();
  header.rtm_dst_len = static_cast<std::uint8_t>(address.bits());
  request.put(kDestination, address);
  // How IPv4 says unreachable, prohibited and blackhole; IPv6 answers with a route of that type.
  request.tolerate({ENETUNREACH, EHOSTUNREACH, EACCES, EINVAL});
  const std::optional<Reply> reply = socket.get(request);
  if (!reply) return std::nullopt;
  switch (reply->header<rtmsg>().rtm_type) {
    case RTN_UNICAST:
    case RTN_LOCAL:
    case RTN_BROADCAST:
    case RTN_ANYCAST:
    case RTN_MULTICAST:
      break;
    default:
      return std::nullopt;
  }
  const std::optional<Attribute> link = find_attribute(reply->attributes<rtmsg>(), RTA_OIF);
  if (!link) return std::nullopt;
  return link->u32();
}

}  // namespace netctl::netlink
