#pragma once
// Questions to nf_tables, and their answers as libnftnl wants to read them.

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "netlink/socket.hpp"

namespace netctl::iptables {

/// No such table, chain or set: nothing to list.
inline netlink::Request list_request(unsigned message, std::uint8_t family, std::string doing) {
  const auto type = static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | message);
  netlink::Request request(type, 0, std::move(doing));
  request.header<nfgenmsg>().nfgen_family = family;
  request.tolerate({ENOENT});
  return request;
}

/// libnftnl reads whole messages; a Reply has lost its header.
inline std::vector<std::uint8_t> whole_message(const netlink::Reply& reply) {
  nlmsghdr header{};
  header.nlmsg_len = static_cast<std::uint32_t>(sizeof header + reply.payload.size());
  header.nlmsg_type = reply.type;
  header.nlmsg_flags = reply.flags;
  std::vector<std::uint8_t> message(header.nlmsg_len);
  std::memcpy(message.data(), &header, sizeof header);
  std::copy(reply.payload.begin(), reply.payload.end(), message.begin() + sizeof header);
  return message;
}

inline const nlmsghdr* as_header(const std::vector<std::uint8_t>& message) {
  return reinterpret_cast<const nlmsghdr*>(message.data());
}

}  // namespace netctl::iptables
