#include "netlink/neighbour.hpp"

#include <sys/socket.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

namespace netctl::netlink {
namespace {

constexpr Attr<NDA_LLADDR, MacAddress> kMac{};
constexpr Attr<NDA_DST, IpAddress> kAddress{};
// A neighbour dump is filtered by NDA_IFINDEX (net/core/neighbour.c), one of forwarding databases by the header's index.
constexpr Attr<NDA_IFINDEX, std::uint32_t> kOnLink{};

Request vtep_entry_request(std::uint16_t type, std::uint16_t flags, const std::string& verb,
                           std::uint32_t vxlan_index, const VtepEntry& entry) {
  Request request(type, flags,
                  verb + " " + entry.mac.to_string() + " behind the VTEP " + entry.vtep.to_string());
  auto& header = request.header<ndmsg>();
  header.ndm_family = AF_BRIDGE;
  header.ndm_ifindex = static_cast<int>(vxlan_index);
  header.ndm_state = NUD_NOARP | NUD_PERMANENT;
  header.ndm_flags = NTF_SELF;
  request.put(kMac, entry.mac).put(kAddress, entry.vtep);
  return request;
}

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

Request put_vtep_entry(std::uint32_t vxlan_index, const VtepEntry& entry) {
  return vtep_entry_request(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, "put", vxlan_index, entry);
}

Request delete_vtep_entry(std::uint32_t vxlan_index, const VtepEntry& entry) {
  Request request = vtep_entry_request(RTM_DELNEIGH, 0, "delete", vxlan_index, entry);
  request.tolerate({ENOENT});
  return request;
}

std::vector<VtepEntry> list_vtep_entries(Socket& socket, std::uint32_t vxlan_index) {
  Request request(RTM_GETNEIGH, 0, "list the forwarding entries of link " + std::to_string(vxlan_index));
  auto& filter = request.header<ndmsg>();
  filter.ndm_family = AF_BRIDGE;
  filter.ndm_ifindex = static_cast<int>(vxlan_index);
  std::vector<VtepEntry> entries;
  for (const Reply& reply : socket.dump(request)) {
    const auto header = reply.header<ndmsg>();
    // A device that is a bridge's port has entries in the bridge's database too.
    const bool own = header.ndm_ifindex == filter.ndm_ifindex && (header.ndm_flags & NTF_SELF) != 0;
    if (reply.type != RTM_NEWNEIGH || !own) continue;
    const auto mac = find_attribute(reply.attributes<ndmsg>(), NDA_LLADDR);
    const auto vtep = find_attribute(reply.attributes<ndmsg>(), NDA_DST);
    if (mac && vtep && mac->mac()) entries.push_back({*mac->mac(), vtep->ip()});
  }
  return entries;
}

Request put_neighbour(std::uint32_t link_index, const Neighbour& neighbour) {
  Request request(
      RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE,
      "put neighbour " + neighbour.address.to_string() + " on link " + std::to_string(link_index));
  auto& header = request.header<ndmsg>();
  header.ndm_family = neighbour.address.af();
  header.ndm_ifindex = static_cast<int>(link_index);
  header.ndm_state = NUD_PERMANENT;
  request.put(kAddress, neighbour.address).put(kMac, neighbour.mac);
  return request;
}

std::vector<Neighbour> list_permanent_neighbours(Socket& socket, std::uint32_t link_index) {
  Request request(RTM_GETNEIGH, 0, "list the neighbours of link " + std::to_string(link_index));
  request.header<ndmsg>();
  request.put(kOnLink, link_index);
  std::vector<Neighbour> neighbours;
  for (const Reply& reply : socket.dump(request)) {
    const auto header = reply.header<ndmsg>();
    const bool wanted = reply.type == RTM_NEWNEIGH && header.ndm_ifindex == static_cast<int>(link_index) &&
                        (header.ndm_state & NUD_PERMANENT) != 0;
    const auto address = find_attribute(reply.attributes<ndmsg>(), NDA_DST);
    const auto mac = find_attribute(reply.attributes<ndmsg>(), NDA_LLADDR);
    if (wanted && address && mac && mac->mac()) neighbours.push_back({address->ip(), *mac->mac()});
  }
  return neighbours;
}

}  // namespace netctl::netlink
