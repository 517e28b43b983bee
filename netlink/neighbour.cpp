#include "netlink/neighbour.hpp"

#include <sys/socket.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

namespace netctl::netlink {
namespace {

constexpr Attr<NDA_LLADDR, MacAddress> kMac{};
constexpr Attr<NDA_DST, IpAddress> kAddress{};

}  // namespace

Request add_bridge_fdb(std::uint32_t port_index, const MacAddress& mac) {
  // Replace, not EXCL: a learned entry of the same address becomes the lasting one.
  Request request(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE,
                  "add " + mac.to_string() + " to the bridge's table for port " + std::to_string(port_index));
  auto& header = request.header<ndmsg>();
  header.ndm_family = AF_BRIDGE;
  header.ndm_ifindex = static_cast<int>(port_index);
  // NUD_NOARP is what `bridge fdb` calls static. NUD_PERMANENT would make the address the bridge's own.
  header.ndm_state = NUD_NOARP;
  header.ndm_flags = NTF_MASTER;
  request.put(kMac, mac);
  return request;
}

Request delete_neighbour(std::uint32_t link_index, const IpAddress& address) {
  Request request(RTM_DELNEIGH, 0,
                  "forget neighbour " + address.to_string() + " on link " + std::to_string(link_index));
  auto& header = request.header<ndmsg>();
  header.ndm_family = address.af();
  header.ndm_ifindex = static_cast<int>(link_index);
  request.put(kAddress, address);
  request.tolerate({ENOENT});
  return request;
}

}  // namespace netctl::netlink
