#include "netlink/macvlan.hpp"

#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include <array>

namespace netctl::netlink {
namespace {

constexpr Attr<IFLA_IFNAME, std::string_view> kName{};
constexpr Attr<IFLA_ADDRESS, MacAddress> kMac{};
constexpr Attr<IFLA_MTU, std::uint32_t> kMtu{};
constexpr Attr<IFLA_LINK, std::uint32_t> kMaster{};
constexpr Attr<IFLA_NET_NS_FD, std::uint32_t> kNetnsFd{};
constexpr Attr<IFLA_EXT_MASK, std::uint32_t> kExtMask{};
constexpr Attr<IFLA_INFO_KIND, std::string_view> kKind{};
constexpr Attr<IFLA_MACVLAN_MODE, std::uint32_t> kMode{};
constexpr Attr<IFLA_MACVLAN_BC_QUEUE_LEN, std::uint32_t> kBroadcastQueueLength{};

struct NamedMode {
  MacvlanMode mode;
  std::string_view name;
};
constexpr std::array<NamedMode, 4> kModes{{{MacvlanMode::kPrivate, "private"},
                                           {MacvlanMode::kVepa, "vepa"},
                                           {MacvlanMode::kBridge, "bridge"},
                                           {MacvlanMode::kPassthru, "passthru"}}};

}  // namespace

std::string to_string(MacvlanMode mode) {
  for (const NamedMode& known : kModes) {
    if (known.mode == mode) return std::string(known.name);
  }
  return std::to_string(static_cast<std::uint32_t>(mode));
}

std::optional<MacvlanMode> parse_macvlan_mode(std::string_view text) {
  for (const NamedMode& known : kModes) {
    if (known.name == text) return known.mode;
  }
  return std::nullopt;
}

Request create_macvlan(const MacvlanSpec& spec) {
  Request request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL,
                  "create the macvlan " + spec.name + " on top of link " + std::to_string(spec.master_index));
  request.header<ifinfomsg>();
  request.put(kName, spec.name).put(kMaster, spec.master_index);
  if (spec.mac) request.put(kMac, *spec.mac);
  if (spec.mtu_bytes != 0) request.put(kMtu, spec.mtu_bytes);
  if (spec.netns_fd >= 0) request.put(kNetnsFd, static_cast<std::uint32_t>(spec.netns_fd));
  request.nest(IFLA_LINKINFO, [&spec](Request& info) {
    info.put(kKind, "macvlan").nest(IFLA_INFO_DATA, [&spec](Request& data) {
      data.put(kMode, static_cast<std::uint32_t>(spec.mode));
      if (spec.broadcast_queue_length) data.put(kBroadcastQueueLength, *spec.broadcast_queue_length);
    });
  });
  return request;
}

std::optional<Macvlan> find_macvlan(Socket& socket, const std::string& name) {
  Request request(RTM_GETLINK, 0, "look up link " + name);
  request.header<ifinfomsg>();
  request.put(kName, name).put(kExtMask, RTEXT_FILTER_SKIP_STATS);
  const std::optional<Reply> reply = socket.get(request);
  if (!reply) return std::nullopt;
  const Bytes attributes = reply->attributes<ifinfomsg>();
  const auto info = find_attribute(attributes, IFLA_LINKINFO);
  const auto kind = info ? find_attribute(info->payload, IFLA_INFO_KIND) : std::nullopt;
  if (!kind || kind->text() != "macvlan") return std::nullopt;
  Macvlan found;
  found.index = static_cast<std::uint32_t>(reply->header<ifinfomsg>().ifi_index);
  if (const auto master = find_attribute(attributes, IFLA_LINK)) found.master_index = master->u32();
  const auto data = find_attribute(info->payload, IFLA_INFO_DATA);
  const auto mode = data ? find_attribute(data->payload, IFLA_MACVLAN_MODE) : std::nullopt;
  if (mode) found.mode = static_cast<MacvlanMode>(mode->u32());
  return found;
}

}  // namespace netctl::netlink
