#include "netlink/link.hpp"

#include <net/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>

namespace netctl::netlink {
namespace {

constexpr Attr<IFLA_IFNAME, std::string_view> kName{};
constexpr Attr<IFLA_ADDRESS, MacAddress> kMac{};
constexpr Attr<IFLA_MTU, std::uint32_t> kMtu{};
constexpr Attr<IFLA_MASTER, std::uint32_t> kMaster{};
constexpr Attr<IFLA_GROUP, std::uint32_t> kGroup{};
constexpr Attr<IFLA_TXQLEN, std::uint32_t> kTxQueueLength{};
constexpr Attr<IFLA_NET_NS_FD, std::uint32_t> kNetnsFd{};
constexpr Attr<IFLA_EXT_MASK, std::uint32_t> kExtMask{};
// Without the terminator: the kernel counts it against the 255 characters an alias may have.
constexpr Attr<IFLA_IFALIAS, Bytes> kAlias{};
constexpr Attr<IFLA_INFO_KIND, std::string_view> kKind{};
constexpr Attr<IFLA_INFO_SLAVE_KIND, std::string_view> kSlaveKind{};
constexpr Attr<IFLA_BRPORT_MODE, std::uint8_t> kPortHairpin{};
constexpr Attr<IFLA_BRPORT_ISOLATED, std::uint8_t> kPortIsolated{};
constexpr Attr<IFLA_BRPORT_LOCKED, std::uint8_t> kPortLocked{};
constexpr Attr<IFLA_BRPORT_LEARNING, std::uint8_t> kPortLearning{};

/// Flag and mask together: a flag without its bit in ifi_change is ignored by some handlers and taken by others.
void put_flag(ifinfomsg& header, unsigned flag, bool on) {
  header.ifi_flags = on ? flag : 0;
  header.ifi_change = flag;
}

void put_mtu(Request& request, std::uint32_t mtu_bytes) {
  if (mtu_bytes != 0) request.put(kMtu, mtu_bytes);
}

void put_alias(Request& request, const std::string& alias) {
  request.put(kAlias, Bytes(reinterpret_cast<const std::uint8_t*>(alias.data()), alias.size()));
}

Request change_link(std::uint32_t index, const std::string& what) {
  Request request(RTM_SETLINK, 0, what + " of link " + std::to_string(index));
  request.header<ifinfomsg>().ifi_index = static_cast<int>(index);
  return request;
}

Request change_flag(std::uint32_t index, unsigned flag, bool on, const std::string& what) {
  Request request(RTM_SETLINK, 0, what + " link " + std::to_string(index));
  auto& header = request.header<ifinfomsg>();
  header.ifi_index = static_cast<int>(index);
  put_flag(header, flag, on);
  return request;
}

std::optional<bool> read_switch(Bytes attributes, std::uint16_t type) {
  const std::optional<Attribute> attribute = find_attribute(attributes, type);
  if (!attribute) return std::nullopt;
  return attribute->u8() != 0;
}

void read_link_info(Bytes info, Link& link) {
  if (const auto kind = find_attribute(info, IFLA_INFO_KIND)) link.kind = kind->text();
  const auto master_kind = find_attribute(info, IFLA_INFO_SLAVE_KIND);
  const auto port = find_attribute(info, IFLA_INFO_SLAVE_DATA);
  if (!master_kind || !port || master_kind->text() != "bridge") return;
  link.hairpin = read_switch(port->payload, IFLA_BRPORT_MODE);
  link.isolated = read_switch(port->payload, IFLA_BRPORT_ISOLATED);
  link.locked = read_switch(port->payload, IFLA_BRPORT_LOCKED);
  link.learning = read_switch(port->payload, IFLA_BRPORT_LEARNING);
}

std::optional<Link> ask_for_link(Socket& socket, Request& request) {
  request.put(kExtMask, RTEXT_FILTER_SKIP_STATS);
  const std::optional<Reply> reply = socket.get(request);
  if (!reply) return std::nullopt;
  return parse_link(*reply);
}

}  // namespace

Request create_veth(const VethSpec& spec) {
  Request request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL,
                  "create the veth pair " + spec.host_name + " - " + spec.container_name);
  put_flag(request.header<ifinfomsg>(), IFF_UP, true);
  request.put(kName, spec.host_name).put(kMac, spec.host_mac);
  put_mtu(request, spec.mtu_bytes);
  if (spec.master_index != 0) request.put(kMaster, spec.master_index);
  request.nest(IFLA_LINKINFO, [&spec](Request& info) {
    info.put(kKind, "veth").nest(IFLA_INFO_DATA, [&spec](Request& data) {
      data.nest(VETH_INFO_PEER, [&spec](Request& peer) {
        const ifinfomsg down{};
        peer.append_raw(Bytes(reinterpret_cast<const std::uint8_t*>(&down), sizeof down));
        peer.put(kName, spec.container_name).put(kMac, spec.container_mac);
        put_mtu(peer, spec.mtu_bytes);
        peer.put(kNetnsFd, static_cast<std::uint32_t>(spec.container_netns_fd));
      });
    });
  });
  return request;
}

Request create_bridge(const BridgeSpec& spec) {
  Request request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, "create the bridge " + spec.name);
  put_flag(request.header<ifinfomsg>(), IFF_UP, true);
  request.put(kName, spec.name).put(kMac, spec.mac);
  put_mtu(request, spec.mtu_bytes);
  request.nest(IFLA_LINKINFO, [](Request& info) { info.put(kKind, "bridge"); });
  return request;
}

Request set_alias(std::uint32_t index, const std::string& alias) {
  Request request = change_link(index, "set the alias");
  put_alias(request, alias);
  return request;
}

Request set_bridge_port(const BridgePortSpec& spec) {
  // RTM_NEWLINK without NLM_F_CREATE: the one message that takes port flags and an alias together.
  Request request(RTM_NEWLINK, 0, "set the bridge port flags of link " + std::to_string(spec.index));
  request.header<ifinfomsg>().ifi_index = static_cast<int>(spec.index);
  if (!spec.alias.empty()) put_alias(request, spec.alias);
  request.nest(IFLA_LINKINFO, [&spec](Request& info) {
    info.put(kSlaveKind, "bridge").nest(IFLA_INFO_SLAVE_DATA, [&spec](Request& port) {
      port.put(kPortHairpin, spec.hairpin ? 1 : 0).put(kPortIsolated, spec.isolated ? 1 : 0);
      // A locked port that learns would admit whatever address was heard on it before.
      port.put(kPortLocked, spec.locked ? 1 : 0).put(kPortLearning, spec.locked ? 0 : 1);
    });
  });
  return request;
}

Request set_up(std::uint32_t index) { return change_flag(index, IFF_UP, true, "set up"); }

Request set_down(std::uint32_t index) { return change_flag(index, IFF_UP, false, "set down"); }

Request set_promiscuous(std::uint32_t index, bool on) {
  return change_flag(index, IFF_PROMISC, on, on ? "make promiscuous" : "end promiscuous mode of");
}

Request set_all_multicast(std::uint32_t index, bool on) {
  return change_flag(index, IFF_ALLMULTI, on, on ? "receive all multicast on" : "end all-multicast mode of");
}

Request set_tx_queue_length(std::uint32_t index, std::uint32_t packets) {
  Request request = change_link(index, "set the transmit queue to " + std::to_string(packets) + " packets");
  request.put(kTxQueueLength, packets);
  return request;
}

Request set_master(std::uint32_t index, std::uint32_t master_index) {
  Request request = change_link(index, "set the bridge");
  request.put(kMaster, master_index);
  return request;
}

Request set_group(std::uint32_t index, std::uint32_t group) {
  Request request = change_link(index, "set the group");
  request.put(kGroup, group);
  return request;
}

Request set_mtu(std::uint32_t index, std::uint32_t mtu_bytes) {
  Request request = change_link(index, "set the MTU to " + std::to_string(mtu_bytes));
  request.put(kMtu, mtu_bytes);
  return request;
}

Request set_mac(std::uint32_t index, const MacAddress& mac) {
  Request request = change_link(index, "set the MAC address to " + mac.to_string());
  request.put(kMac, mac);
  return request;
}

Request delete_link(std::uint32_t index) {
  Request request(RTM_DELLINK, 0, "delete link " + std::to_string(index));
  request.header<ifinfomsg>().ifi_index = static_cast<int>(index);
  request.tolerate({ENODEV});  // somebody, or the end of the container's namespace, was faster
  return request;
}

Request delete_group(std::uint32_t group) {
  // 0 is the group of every link that was never put into one: the machine's uplinks.
  if (group == 0)
    throw Error(ErrorCode::kInternal, "group 0 holds every link of the machine, it is never deleted");
  Request request(RTM_DELLINK, 0, "delete the links of group " + std::to_string(group));
  request.header<ifinfomsg>();
  request.put(kGroup, group);
  request.tolerate({ENODEV});  // the group is empty: another process deleted its links
  return request;
}

Link parse_link(const Reply& reply) {
  const auto header = reply.header<ifinfomsg>();
  Link link;
  link.index = static_cast<std::uint32_t>(header.ifi_index);
  link.up = (header.ifi_flags & IFF_UP) != 0;
  link.promiscuous = (header.ifi_flags & IFF_PROMISC) != 0;
  link.all_multicast = (header.ifi_flags & IFF_ALLMULTI) != 0;
  for (const Attribute& attribute : parse_attributes(reply.attributes<ifinfomsg>())) {
    switch (attribute.type) {
      case IFLA_IFNAME:
        link.name = attribute.text();
        break;
      case IFLA_IFALIAS:
        link.alias = attribute.text();
        break;
      case IFLA_ADDRESS:
        link.mac = attribute.mac();
        break;
      case IFLA_MTU:
        link.mtu_bytes = attribute.u32();
        break;
      case IFLA_MASTER:
        link.master_index = attribute.u32();
        break;
      case IFLA_LINK:
        link.peer_index = attribute.u32();
        break;
      case IFLA_GROUP:
        link.group = attribute.u32();
        break;
      case IFLA_TXQLEN:
        link.tx_queue_length = attribute.u32();
        break;
      case IFLA_LINKINFO:
        read_link_info(attribute.payload, link);
        break;
      default:
        break;
    }
  }
  return link;
}

std::optional<Link> find_link(Socket& socket, const std::string& name) {
  if (name.empty() || name.size() >= IFNAMSIZ) return std::nullopt;  // no link can have that name
  Request request(RTM_GETLINK, 0, "look up link " + name);
  request.header<ifinfomsg>();
  request.put(kName, name);
  return ask_for_link(socket, request);
}

std::optional<Link> find_link(Socket& socket, std::uint32_t index) {
  if (index == 0) return std::nullopt;
  Request request(RTM_GETLINK, 0, "look up link " + std::to_string(index));
  request.header<ifinfomsg>().ifi_index = static_cast<int>(index);
  return ask_for_link(socket, request);
}

std::vector<Link> list_links(Socket& socket) {
  Request request(RTM_GETLINK, 0, "list the links");
  request.header<ifinfomsg>();
  request.put(kExtMask, RTEXT_FILTER_SKIP_STATS);
  std::vector<Link> links;
  for (const Reply& reply : socket.dump(request)) {
    if (reply.type == RTM_NEWLINK) links.push_back(parse_link(reply));
  }
  return links;
}

}  // namespace netctl::netlink
