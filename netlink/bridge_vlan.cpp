#include "netlink/bridge_vlan.hpp"

#include <sys/socket.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <cstring>

namespace netctl::netlink {
namespace {

constexpr Attr<IFLA_INFO_KIND, std::string_view> kKind{};
constexpr Attr<IFLA_EXT_MASK, std::uint32_t> kExtMask{};
constexpr Attr<IFLA_BR_VLAN_FILTERING, std::uint8_t> kFiltering{};
constexpr Attr<IFLA_BRIDGE_VLAN_INFO, Bytes> kVlan{};

void put_vlan(Request& request, std::uint16_t id, unsigned flags) {
  bridge_vlan_info info{};
  info.flags = static_cast<std::uint16_t>(flags);
  info.vid = id;
  request.put(kVlan, Bytes(reinterpret_cast<const std::uint8_t*>(&info), sizeof info));
}

/// A range is two entries, its beginning and its end.
void put_vlans(Request& request, const BridgeVlans& vlans) {
  const unsigned flags =
      (vlans.pvid ? BRIDGE_VLAN_INFO_PVID : 0U) | (vlans.untagged ? BRIDGE_VLAN_INFO_UNTAGGED : 0U);
  if (vlans.first == vlans.last) {
    put_vlan(request, vlans.first, flags);
    return;
  }
  put_vlan(request, vlans.first, flags | BRIDGE_VLAN_INFO_RANGE_BEGIN);
  put_vlan(request, vlans.last, flags | BRIDGE_VLAN_INFO_RANGE_END);
}

Request change_vlans(std::uint16_t type, std::uint32_t port_index, const std::vector<BridgeVlans>& vlans,
                     const std::string& doing) {
  Request request(type, 0, doing + " link " + std::to_string(port_index));
  auto& header = request.header<ifinfomsg>();
  header.ifi_family = PF_BRIDGE;
  header.ifi_index = static_cast<int>(port_index);
  request.nest(IFLA_AF_SPEC, [&vlans](Request& spec) {
    for (const BridgeVlans& one : vlans) put_vlans(spec, one);
  });
  return request;
}

void append(std::vector<BridgeVlans>& vlans, const BridgeVlans& more) {
  if (!vlans.empty()) {
    BridgeVlans& last = vlans.back();
    const bool continues =
        last.last + 1 == more.first && last.pvid == more.pvid && last.untagged == more.untagged && !more.pvid;
    if (continues) {
      last.last = more.last;
      return;
    }
  }
  vlans.push_back(more);
}

std::vector<BridgeVlans> read_vlans(Bytes spec) {
  std::vector<BridgeVlans> vlans;
  std::uint16_t range_begin = 0;
  for (const Attribute& attribute : parse_attributes(spec)) {
    if (attribute.type != IFLA_BRIDGE_VLAN_INFO) continue;
    bridge_vlan_info info{};
    if (attribute.payload.size() < sizeof info) {
      throw Error(ErrorCode::kKernel, "the kernel's answer holds a VLAN that is cut off");
    }
    std::memcpy(&info, attribute.payload.data(), sizeof info);
    if ((info.flags & BRIDGE_VLAN_INFO_RANGE_BEGIN) != 0) {
      range_begin = info.vid;
      continue;
    }
    BridgeVlans one;
    one.first = (info.flags & BRIDGE_VLAN_INFO_RANGE_END) != 0 ? range_begin : info.vid;
    one.last = info.vid;
    one.pvid = (info.flags & BRIDGE_VLAN_INFO_PVID) != 0;
    one.untagged = (info.flags & BRIDGE_VLAN_INFO_UNTAGGED) != 0;
    append(vlans, one);
  }
  return vlans;
}

}  // namespace

bool has_bridge_vlans(Socket& socket) {
  Request request(RTM_GETVLAN, 0, "list the VLANs of bridges");
  request.header<br_vlan_msg>().family = PF_BRIDGE;
  try {
    (void)socket.dump(request);
    return true;
  } catch (const Error& error) {
    if (error.sys_errno() == EOPNOTSUPP) return false;  // nobody answers to this message
    throw;
  }
}

Request set_vlan_filtering(std::uint32_t bridge_index) {
  Request request(RTM_NEWLINK, 0, "switch VLAN filtering on at bridge " + std::to_string(bridge_index));
  request.header<ifinfomsg>().ifi_index = static_cast<int>(bridge_index);
  request.nest(IFLA_LINKINFO, [](Request& info) {
    info.put(kKind, "bridge").nest(IFLA_INFO_DATA, [](Request& data) { data.put(kFiltering, 1); });
  });
  return request;
}

std::optional<bool> find_vlan_filtering(Socket& socket, std::uint32_t bridge_index) {
  Request request(RTM_GETLINK, 0, "look up link " + std::to_string(bridge_index));
  request.header<ifinfomsg>().ifi_index = static_cast<int>(bridge_index);
  request.put(kExtMask, RTEXT_FILTER_SKIP_STATS);
  const std::optional<Reply> reply = socket.get(request);
  if (!reply) return std::nullopt;
  const auto info = find_attribute(reply->attributes<ifinfomsg>(), IFLA_LINKINFO);
  const auto data = info ? find_attribute(info->payload, IFLA_INFO_DATA) : std::nullopt;
  const auto filtering = data ? find_attribute(data->payload, IFLA_BR_VLAN_FILTERING) : std::nullopt;
  if (!filtering) return std::nullopt;
  return filtering->u8() != 0;
}

Request add_bridge_vlans(std::uint32_t port_index, const std::vector<BridgeVlans>& vlans) {
  return change_vlans(RTM_SETLINK, port_index, vlans, "add VLANs to");
}

Request delete_bridge_vlans(std::uint32_t port_index, const std::vector<BridgeVlans>& vlans) {
  return change_vlans(RTM_DELLINK, port_index, vlans, "take VLANs from");
}

std::vector<BridgeVlans> list_bridge_vlans(Socket& socket, std::uint32_t port_index) {
  Request request(RTM_GETLINK, 0, "list the VLANs of link " + std::to_string(port_index));
  request.header<ifinfomsg>().ifi_family = PF_BRIDGE;
  request.put(kExtMask, RTEXT_FILTER_BRVLAN_COMPRESSED);
  for (const Reply& reply : socket.dump(request)) {
    if (reply.type != RTM_NEWLINK) continue;
    const auto header = reply.header<ifinfomsg>();
    const auto spec = find_attribute(reply.attributes<ifinfomsg>(), IFLA_AF_SPEC);
    if (static_cast<std::uint32_t>(header.ifi_index) != port_index || !spec) continue;
    return read_vlans(spec->payload);
  }
  return {};
}

}  // namespace netctl::netlink
