#include "netlink/link_events.hpp"

#include <sys/socket.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/error.hpp"
#include "netlink/message.hpp"

namespace netctl::netlink {
namespace {

constexpr int kReceiveBytes = 1 << 20;

template <class Header>
std::uint32_t attribute_of(const Reply& reply, std::uint16_t type) {
  const auto found = find_attribute(reply.attributes<Header>(), type);
  return found ? found->u32() : 0;
}

/// 0: none.
std::uint32_t link_of(const Reply& reply) {
  switch (reply.type) {
    case RTM_NEWLINK:
    case RTM_DELLINK:
      return static_cast<std::uint32_t>(reply.header<ifinfomsg>().ifi_index);
    case RTM_DELNEIGH:
      return static_cast<std::uint32_t>(reply.header<ndmsg>().ndm_ifindex);
    case RTM_DELADDR:
      return reply.header<ifaddrmsg>().ifa_index;
    case RTM_DELROUTE:
      return attribute_of<rtmsg>(reply, RTA_OIF);
    case RTM_DELNEXTHOP:
      return attribute_of<nhmsg>(reply, NHA_OIF);
    default:
      return 0;
  }
}

void read_messages(Bytes bytes, LinkEvents::Seen& seen) {
  while (bytes.size() >= sizeof(nlmsghdr)) {
    nlmsghdr header{};
    std::memcpy(&header, bytes.data(), sizeof header);
    if (header.nlmsg_len < sizeof header || header.nlmsg_len > bytes.size()) {
      seen.missed = true;
      return;
    }
    const Bytes payload = bytes.subspan(sizeof header, header.nlmsg_len - sizeof header);
    const Reply reply{header.nlmsg_type, header.nlmsg_flags, {payload.begin(), payload.end()}};
    if (const std::uint32_t link = link_of(reply); link != 0) seen.links.insert(link);
    const std::size_t aligned = NLMSG_ALIGN(header.nlmsg_len);
    if (aligned >= bytes.size()) return;
    bytes = bytes.subspan(aligned);
  }
}

}  // namespace

LinkEvents LinkEvents::open() {
  UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  if (!fd || ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    throw_errno("listen to the kernel's link events");
  }
  // Best effort: a smaller buffer only means that more is missed, which is noticed.
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveBytes, sizeof kReceiveBytes);
  for (const int group : {RTNLGRP_LINK, RTNLGRP_NEIGH, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
                          RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, RTNLGRP_NEXTHOP}) {
    if (::setsockopt(fd.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) != 0) {
      throw_errno("listen to the kernel's link events");
    }
  }
  return LinkEvents(std::move(fd));
}

LinkEvents::Seen LinkEvents::drain() {
  Seen seen;
  std::array<std::uint8_t, 32768> buffer{};
  while (true) {
    const ssize_t size = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
    if (size > 0) {
      read_messages(Bytes(buffer.data(), static_cast<std::size_t>(size)), seen);
    } else if (size < 0 && errno == ENOBUFS) {
      seen.missed = true;
    } else if (size < 0 && errno == EINTR) {
      continue;
    } else if (size < 0 && errno != EAGAIN) {
      throw_errno("read the kernel's link events");
    } else {
      return seen;
    }
  }
}

}  // namespace netctl::netlink
