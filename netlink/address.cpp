#include "netlink/address.hpp"

#include <sys/socket.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

namespace netctl::netlink {
namespace {

constexpr Attr<IFA_LOCAL, IpAddress> kLocal{};
constexpr Attr<IFA_ADDRESS, IpAddress> kAddress{};
constexpr Attr<IFA_BROADCAST, IpAddress> kBroadcast{};
constexpr Attr<IFA_FLAGS, std::uint32_t> kFlags{};

void put_address(Request& request, std::uint32_t index, const IpPrefix& address) {
  auto& header = request.header<ifaddrmsg>();
  header.ifa_family = address.address.af();
  header.ifa_prefixlen = address.length;
  header.ifa_scope = address.address.is_loopback() ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE;
  header.ifa_index = index;
  request.put(kLocal, address.address).put(kAddress, address.address);
}

std::string on_link(const IpPrefix& address, std::uint32_t index) {
  return "address " + address.to_string() + " on link " + std::to_string(index);
}

/// `index` 0: of all links. Calls `visit(header, address)`.
template <class Visit>
void visit_family(Socket& socket, std::uint32_t index, Family family, Visit visit) {
  Request request(RTM_GETADDR, 0, "list the addresses of link " + std::to_string(index));
  auto& filter = request.header<ifaddrmsg>();
  filter.ifa_family = IpAddress::any(family).af();
  filter.ifa_index = index;
  request.tolerate({EOPNOTSUPP, EAFNOSUPPORT});  // a kernel without IPv6
  for (const Reply& reply : socket.dump(request)) {
    if (reply.type != RTM_NEWADDR) continue;
    const auto header = reply.header<ifaddrmsg>();
    // Where the family is missing, the kernel answers with what it has instead.
    if (header.ifa_family != filter.ifa_family || (index != 0 && header.ifa_index != index)) continue;
    std::optional<Attribute> local = find_attribute(reply.attributes<ifaddrmsg>(), IFA_LOCAL);
    // IPv6 has no IFA_LOCAL without a peer.
    if (!local) local = find_attribute(reply.attributes<ifaddrmsg>(), IFA_ADDRESS);
    if (!local || header.ifa_prefixlen > local->ip().bits()) continue;
    visit(header, IpPrefix{local->ip(), header.ifa_prefixlen});
  }
}

}  // namespace

Request add_address(std::uint32_t index, const IpPrefix& address, DuplicateDetection detection,
                    PrefixRoute prefix_route) {
  Request request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, "add " + on_link(address, index));
  put_address(request, index, address);
  std::uint32_t flags = prefix_route == PrefixRoute::kOff ? IFA_F_NOPREFIXROUTE : 0U;
  if (address.address.is_v4()) {
    if (address.length < 31) request.put(kBroadcast, address.last());
  } else if (detection == DuplicateDetection::kOff) {
    flags |= IFA_F_NODAD;
  }
  if (flags != 0) request.put(kFlags, flags);
  request.tolerate({EEXIST});  // ADD after a half-done ADD
  return request;
}

Request delete_address(std::uint32_t index, const IpPrefix& address) {
  Request request(RTM_DELADDR, 0, "delete " + on_link(address, index));
  put_address(request, index, address);
  request.tolerate({EADDRNOTAVAIL});  // it is gone already
  return request;
}

std::vector<IpPrefix> list_addresses(Socket& socket, std::uint32_t index) {
  std::vector<IpPrefix> addresses;
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    visit_family(socket, index, family,
                 [&](const ifaddrmsg&, const IpPrefix& address) { addresses.push_back(address); });
  }
  return addresses;
}

std::vector<LinkAddress> list_global_addresses(Socket& socket) {
  std::vector<LinkAddress> addresses;
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    visit_family(socket, 0, family, [&](const ifaddrmsg& header, const IpPrefix& address) {
      if (header.ifa_scope == RT_SCOPE_UNIVERSE) addresses.push_back({header.ifa_index, address});
    });
  }
  return addresses;
}

}  // namespace netctl::netlink
