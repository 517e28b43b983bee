#include "netlink/vxlan.hpp"

#include <net/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

namespace netctl::netlink {
namespace {

constexpr Attr<IFLA_IFNAME, std::string_view> kName{};
constexpr Attr<IFLA_ADDRESS, MacAddress> kMac{};
constexpr Attr<IFLA_MTU, std::uint32_t> kMtu{};
constexpr Attr<IFLA_MASTER, std::uint32_t> kMaster{};
constexpr Attr<IFLA_EXT_MASK, std::uint32_t> kExtMask{};
constexpr Attr<IFLA_INFO_KIND, std::string_view> kKind{};
constexpr Attr<IFLA_VXLAN_ID, std::uint32_t> kVni{};
constexpr Attr<IFLA_VXLAN_LINK, std::uint32_t> kUnderlay{};
constexpr Attr<IFLA_VXLAN_LOCAL, IpAddress> kLocal4{};
constexpr Attr<IFLA_VXLAN_LOCAL6, IpAddress> kLocal6{};
constexpr Attr<IFLA_VXLAN_LEARNING, std::uint8_t> kLearning{};
constexpr Attr<IFLA_VXLAN_PROXY, std::uint8_t> kProxy{};
constexpr Attr<IFLA_VXLAN_PORT, BigEndian<std::uint16_t>> kPort{};

void put_data(Request& data, const VxlanSpec& spec) {
  data.put(kVni, spec.vni);
  if (spec.local.is_v4()) {
    data.put(kLocal4, spec.local);
  } else {
    data.put(kLocal6, spec.local);
  }
  if (spec.underlay_index != 0) data.put(kUnderlay, spec.underlay_index);
  data.put(kLearning, 0).put(kPort, {spec.port});
  if (spec.proxy) data.put(kProxy, 1);
}

void read_data(Bytes data, Vxlan& vxlan) {
  for (const Attribute& attribute : parse_attributes(data)) {
    switch (attribute.type) {
      case IFLA_VXLAN_ID:
        vxlan.vni = attribute.u32();
        break;
      case IFLA_VXLAN_PORT:
        vxlan.port = attribute.be16();
        break;
      case IFLA_VXLAN_LOCAL:
      case IFLA_VXLAN_LOCAL6:
        vxlan.local = attribute.ip();
        break;
      case IFLA_VXLAN_LINK:
        vxlan.underlay_index = attribute.u32();
        break;
      case IFLA_VXLAN_LEARNING:
        vxlan.learning = attribute.u8() != 0;
        break;
      case IFLA_VXLAN_PROXY:
        vxlan.proxy = attribute.u8() != 0;
        break;
      default:
        break;
    }
  }
}

}  // namespace

Request create_vxlan(const VxlanSpec& spec) {
  Request request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL,
                  "create the VXLAN device " + spec.name + " for VNI " + std::to_string(spec.vni));
  request.header<ifinfomsg>();
  request.put(kName, spec.name).put(kMac, spec.mac);
  if (spec.mtu_bytes != 0) request.put(kMtu, spec.mtu_bytes);
  if (spec.master_index != 0) request.put(kMaster, spec.master_index);
  request.nest(IFLA_LINKINFO, [&spec](Request& info) {
    info.put(kKind, "vxlan").nest(IFLA_INFO_DATA, [&spec](Request& data) { put_data(data, spec); });
  });
  return request;
}

std::optional<Vxlan> parse_vxlan(const Reply& reply) {
  Vxlan vxlan;
  vxlan.link = parse_link(reply);
  if (vxlan.link.kind != "vxlan") return std::nullopt;
  const auto info = find_attribute(reply.attributes<ifinfomsg>(), IFLA_LINKINFO);
  const auto data = info ? find_attribute(info->payload, IFLA_INFO_DATA) : std::nullopt;
  if (data) read_data(data->payload, vxlan);
  return vxlan;
}

std::optional<Vxlan> find_vxlan(Socket& socket, const std::string& name) {
  if (name.empty() || name.size() >= IFNAMSIZ) return std::nullopt;  // no link can have that name
  Request request(RTM_GETLINK, 0, "look up link " + name);
  request.header<ifinfomsg>();
  request.put(kName, name).put(kExtMask, RTEXT_FILTER_SKIP_STATS);
  const std::optional<Reply> reply = socket.get(request);
  return reply ? parse_vxlan(*reply) : std::nullopt;
}

std::optional<Vxlan> find_vxlan(Socket& socket, std::uint32_t vni, std::uint16_t port) {
  Request request(RTM_GETLINK, 0, "list the VXLAN devices");
  request.header<ifinfomsg>();
  request.put(kExtMask, RTEXT_FILTER_SKIP_STATS);
  request.nest(IFLA_LINKINFO, [](Request& info) { info.put(kKind, "vxlan"); });
  for (const Reply& reply : socket.dump(request)) {
    auto vxlan = reply.type == RTM_NEWLINK ? parse_vxlan(reply) : std::nullopt;
    if (vxlan && vxlan->vni == vni && vxlan->port == port) return vxlan;
  }
  return std::nullopt;
}

}  // namespace netctl::netlink
