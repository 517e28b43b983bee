#include "netlink/traffic_control.hpp"

#include <arpa/inet.h>
#include <net/if.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <limits>

namespace netctl::netlink {
namespace {

constexpr Attr<TCA_KIND, std::string_view> kKind{};
constexpr Attr<TCA_TBF_PARMS, Bytes> kBucketParameters{};
constexpr Attr<TCA_TBF_RATE64, std::uint64_t> kBucketRate64{};
constexpr Attr<TCA_TBF_BURST, std::uint32_t> kBucketBurst{};
constexpr Attr<TCA_HTB_INIT, Bytes> kTreeParameters{};
constexpr Attr<TCA_HTB_PARMS, Bytes> kClassParameters{};
constexpr Attr<TCA_HTB_RATE64, std::uint64_t> kClassRate64{};
constexpr Attr<TCA_HTB_CEIL64, std::uint64_t> kClassCeiling64{};
constexpr Attr<TCA_U32_CLASSID, std::uint32_t> kFilterClass{};
constexpr Attr<TCA_U32_SEL, Bytes> kSelector{};
constexpr Attr<TCA_ACT_KIND, std::string_view> kActionKind{};
constexpr Attr<TCA_MIRRED_PARMS, Bytes> kMirredParameters{};
constexpr Attr<IFLA_IFNAME, std::string_view> kLinkName{};
constexpr Attr<IFLA_MTU, std::uint32_t> kLinkMtu{};
constexpr Attr<IFLA_TXQLEN, std::uint32_t> kLinkQueue{};
constexpr Attr<IFLA_INFO_KIND, std::string_view> kLinkKind{};

constexpr std::uint16_t kCreate = NLM_F_CREATE | NLM_F_EXCL;
constexpr std::uint32_t kLargest32 = std::numeric_limits<std::uint32_t>::max();

template <class T>
Bytes bytes_of(const T& value) {
  return {reinterpret_cast<const std::uint8_t*>(&value), sizeof value};
}

Request about_link(std::uint16_t type, std::uint16_t flags, std::uint32_t link_index, std::uint32_t parent,
                   std::uint32_t handle, const std::string& doing) {
  Request request(type, flags, doing + " of link " + std::to_string(link_index));
  auto& header = request.header<tcmsg>();
  header.tcm_family = AF_UNSPEC;
  header.tcm_ifindex = static_cast<int>(link_index);
  header.tcm_parent = parent;
  header.tcm_handle = handle;
  return request;
}

/// The 32-bit field is full for faster ones, which have a 64-bit attribute beside. The link layer is named so that the
/// kernel does not look for a table of rates to guess it from (net/sched/sch_api.c, qdisc_get_rtab).
tc_ratespec rate_of(std::uint64_t bytes_per_second) {
  tc_ratespec rate{};
  rate.linklayer = TC_LINKLAYER_ETHERNET;
  rate.rate = static_cast<std::uint32_t>(std::min<std::uint64_t>(bytes_per_second, kLargest32));
  return rate;
}

/// How long the burst lasts at the rate, in the scheduler's ticks of 64 ns (PSCHED_SHIFT in include/net/pkt_sched.h).
std::uint32_t ticks_of(const RateLimit& limit) {
  constexpr long double kTicksPerSecond = 1e9L / 64;
  const long double seconds =
      static_cast<long double>(limit.burst_bytes) / static_cast<long double>(limit.rate_bytes_per_second);
  return static_cast<std::uint32_t>(std::min<long double>(seconds * kTicksPerSecond + 1, kLargest32));
}

std::vector<std::uint8_t> keys_of(const IpPrefix& subnet, AddressSide side) {
  const bool source = side == AddressSide::kSource;
  const bool is_v4 = subnet.address.is_v4();
  int offset = is_v4 ? (source ? 12 : 16) : (source ? 8 : 24);  // in the IPv4 and IPv6 headers
  const IpAddress network = subnet.network().address;
  std::vector<std::uint8_t> keys;
  int bits_left = subnet.length;
  const Bytes address = network.bytes();
  for (std::size_t word = 0; word < address.size(); word += 4, offset += 4, bits_left -= 32) {
    if (bits_left <= 0) break;
    const int bits = std::min(bits_left, 32);
    tc_u32_key key{};
    key.mask = htonl(kLargest32 << (32 - bits));
    std::memcpy(&key.val, address.data() + word, sizeof key.val);
    key.off = offset;
    const Bytes raw = bytes_of(key);
    keys.insert(keys.end(), raw.begin(), raw.end());
  }
  if (keys.empty()) {  // every address: one key that always matches
    const tc_u32_key any{};
    const Bytes raw = bytes_of(any);
    keys.assign(raw.begin(), raw.end());
  }
  return keys;
}

std::vector<std::uint8_t> selector_of(const std::vector<std::uint8_t>& keys) {
  std::vector<std::uint8_t> selector(sizeof(tc_u32_sel) + keys.size());
  selector[offsetof(tc_u32_sel, flags)] = TC_U32_TERMINAL;
  selector[offsetof(tc_u32_sel, nkeys)] = static_cast<std::uint8_t>(keys.size() / sizeof(tc_u32_key));
  std::copy(keys.begin(), keys.end(), selector.begin() + sizeof(tc_u32_sel));
  return selector;
}

Request add_filter(std::uint32_t link_index, std::uint32_t parent, std::uint16_t priority,
                   std::uint16_t protocol, const std::string& doing) {
  Request request(RTM_NEWTFILTER, kCreate, doing + " of link " + std::to_string(link_index));
  auto& header = request.header<tcmsg>();
  header.tcm_ifindex = static_cast<int>(link_index);
  header.tcm_parent = parent;
  header.tcm_info = TC_H_MAKE(static_cast<std::uint32_t>(priority) << 16, htons(protocol));
  request.put(kKind, "u32");
  return request;
}

std::uint64_t full_rate(std::uint32_t rate, const std::optional<Attribute>& rate64) {
  return rate64 ? rate64->u64() : rate;
}

std::uint32_t read_redirect(Bytes actions) {
  for (const Attribute& action : parse_attributes(actions)) {
    const auto options = find_attribute(action.payload, TCA_ACT_OPTIONS);
    const auto parameters = options ? find_attribute(options->payload, TCA_MIRRED_PARMS) : std::nullopt;
    if (!parameters || parameters->payload.size() < sizeof(tc_mirred)) continue;
    tc_mirred mirred{};
    std::memcpy(&mirred, parameters->payload.data(), sizeof mirred);
    if (mirred.eaction == TCA_EGRESS_REDIR) return mirred.ifindex;
  }
  return 0;
}

Qdisc read_qdisc(const Reply& reply) {
  Qdisc qdisc;
  qdisc.handle = reply.header<tcmsg>().tcm_handle;
  if (const auto kind = find_attribute(reply.attributes<tcmsg>(), TCA_KIND)) qdisc.kind = kind->text();
  if (const auto options = find_attribute(reply.attributes<tcmsg>(), TCA_OPTIONS)) {
    qdisc.options.assign(options->payload.begin(), options->payload.end());
  }
  return qdisc;
}

/// nullopt for what a dump has besides filters: the hash tables that they are in.
std::optional<Filter> read_filter(const Reply& reply) {
  const auto options = find_attribute(reply.attributes<tcmsg>(), TCA_OPTIONS);
  const auto selector = options ? find_attribute(options->payload, TCA_U32_SEL) : std::nullopt;
  if (!selector || selector->payload.size() < sizeof(tc_u32_sel)) return std::nullopt;
  Filter filter;
  const Bytes keys = selector->payload.subspan(sizeof(tc_u32_sel));
  filter.keys.assign(keys.begin(), keys.end());
  if (const auto class_id = find_attribute(options->payload, TCA_U32_CLASSID))
    filter.class_id = class_id->u32();
  if (const auto actions = find_attribute(options->payload, TCA_U32_ACT)) {
    filter.redirect_index = read_redirect(actions->payload);
  }
  return filter;
}

}  // namespace

Request add_token_bucket(std::uint32_t link_index, std::uint32_t handle, const RateLimit& limit,
                         std::uint32_t limit_bytes) {
  Request request =
      about_link(RTM_NEWQDISC, kCreate, link_index, kRootParent, handle, "limit the rate (tbf)");
  request.put(kKind, "tbf").nest(TCA_OPTIONS, [&](Request& options) {
    tc_tbf_qopt parameters{};
    parameters.rate = rate_of(limit.rate_bytes_per_second);
    parameters.limit = limit_bytes;
    options.put(kBucketParameters, bytes_of(parameters));
    // In bytes: the field of the struct above counts ticks, of which 32 bits may not be enough.
    options.put(kBucketBurst, limit.burst_bytes);
    if (limit.rate_bytes_per_second > kLargest32) options.put(kBucketRate64, limit.rate_bytes_per_second);
  });
  return request;
}

Request add_ingress(std::uint32_t link_index) {
  Request request = about_link(RTM_NEWQDISC, kCreate, link_index, kIngressParent, kIngressHandle,
                               "filter what comes in (ingress)");
  request.put(kKind, "ingress");
  return request;
}

Request add_class_tree(std::uint32_t link_index, std::uint32_t handle, std::uint16_t default_minor) {
  Request request = about_link(RTM_NEWQDISC, kCreate, link_index, kRootParent, handle,
                               "limit the rate of some subnets (htb)");
  request.put(kKind, "htb").nest(TCA_OPTIONS, [&](Request& options) {
    tc_htb_glob parameters{};
    parameters.version = 3;  // of the interface (HTB_VER in net/sched/sch_htb.c)
    parameters.rate2quantum = 10;
    parameters.defcls = default_minor;
    options.put(kTreeParameters, bytes_of(parameters));
  });
  return request;
}

Request add_class(std::uint32_t link_index, std::uint32_t class_id, const RateLimit& limit) {
  Request request = about_link(RTM_NEWTCLASS, kCreate, link_index, class_id & TC_H_MAJ_MASK, class_id,
                               "add a class with a rate (htb)");
  request.put(kKind, "htb").nest(TCA_OPTIONS, [&](Request& options) {
    tc_htb_opt parameters{};
    parameters.rate = parameters.ceil = rate_of(limit.rate_bytes_per_second);
    parameters.buffer = parameters.cbuffer = ticks_of(limit);
    parameters.quantum =
        60'000;  // given, so that the kernel does not complain about the one that it works out
    options.put(kClassParameters, bytes_of(parameters));
    if (limit.rate_bytes_per_second > kLargest32) {
      options.put(kClassRate64, limit.rate_bytes_per_second);
      options.put(kClassCeiling64, limit.rate_bytes_per_second);
    }
  });
  return request;
}

Request redirect_incoming(std::uint32_t link_index, std::uint32_t target_index) {
  Request request =
      add_filter(link_index, kIngressHandle, 1, ETH_P_ALL, "redirect what comes in (u32, mirred)");
  request.nest(TCA_OPTIONS, [&](Request& options) {
    const tc_u32_key any{};
    const Bytes raw = bytes_of(any);
    const std::vector<std::uint8_t> selector = selector_of({raw.begin(), raw.end()});
    options.put(kFilterClass, TC_H_MAKE(1U << 16, 1)).put(kSelector, selector);
    options.nest(TCA_U32_ACT, [&](Request& actions) {
      actions.nest(1, [&](Request& action) {
        action.put(kActionKind, "mirred").nest(TCA_ACT_OPTIONS, [&](Request& mirred) {
          tc_mirred parameters{};
          parameters.action = TC_ACT_STOLEN;
          parameters.eaction = TCA_EGRESS_REDIR;
          parameters.ifindex = target_index;
          mirred.put(kMirredParameters, bytes_of(parameters));
        });
      });
    });
  });
  return request;
}

Request classify(std::uint32_t link_index, std::uint32_t parent, const IpPrefix& subnet, AddressSide side,
                 std::uint32_t class_id) {
  const bool is_v4 = subnet.address.is_v4();
  // Filters of one priority have one protocol.
  Request request = add_filter(link_index, parent, is_v4 ? 16 : 15, is_v4 ? ETH_P_IP : ETH_P_IPV6,
                               "pick out the subnet " + subnet.to_string() + " (u32)");
  request.nest(TCA_OPTIONS, [&](Request& options) {
    options.put(kFilterClass, class_id).put(kSelector, selector_of(keys_of(subnet, side)));
  });
  return request;
}

Request delete_qdisc(std::uint32_t link_index, std::uint32_t parent, std::uint32_t handle) {
  Request request = about_link(RTM_DELQDISC, 0, link_index, parent, handle, "remove the rate limit");
  // ENOENT: there is none. EINVAL: one of another handle, or an ingress that is gone. ENODEV: the link went.
  request.tolerate({ENOENT, EINVAL, ENODEV});
  return request;
}

Request create_ifb(const std::string& name, std::uint32_t mtu_bytes, std::uint32_t tx_queue_length) {
  Request request(RTM_NEWLINK, kCreate, "create the device " + name + " (ifb)");
  auto& header = request.header<ifinfomsg>();
  header.ifi_flags = header.ifi_change = IFF_UP;
  request.put(kLinkName, name).put(kLinkMtu, mtu_bytes).put(kLinkQueue, tx_queue_length);
  request.nest(IFLA_LINKINFO, [](Request& info) { info.put(kLinkKind, "ifb"); });
  return request;
}

std::optional<Qdisc> find_qdisc(Socket& socket, std::uint32_t link_index, std::uint32_t parent) {
  for (const Reply& reply :
       socket.dump(about_link(RTM_GETQDISC, 0, link_index, 0, 0, "list the queueing disciplines"))) {
    const auto header = reply.header<tcmsg>();
    if (header.tcm_ifindex == static_cast<int>(link_index) && header.tcm_parent == parent)
      return read_qdisc(reply);
  }
  return std::nullopt;
}

std::vector<Filter> list_filters(Socket& socket, std::uint32_t link_index, std::uint32_t parent) {
  std::vector<Filter> filters;
  for (const Reply& reply :
       socket.dump(about_link(RTM_GETTFILTER, 0, link_index, parent, 0, "list the filters"))) {
    if (reply.type != RTM_NEWTFILTER) continue;
    if (auto filter = read_filter(reply)) filters.push_back(std::move(*filter));
  }
  return filters;
}

Filter expected_filter(const IpPrefix& subnet, AddressSide side, std::uint32_t class_id) {
  return {class_id, 0, keys_of(subnet, side)};
}

std::vector<TrafficClass> list_classes(Socket& socket, std::uint32_t link_index) {
  std::vector<TrafficClass> classes;
  for (const Reply& reply : socket.dump(about_link(RTM_GETTCLASS, 0, link_index, 0, 0, "list the classes"))) {
    const auto options = find_attribute(reply.attributes<tcmsg>(), TCA_OPTIONS);
    const auto parameters = options ? find_attribute(options->payload, TCA_HTB_PARMS) : std::nullopt;
    if (!parameters || parameters->payload.size() < sizeof(tc_htb_opt)) continue;
    tc_htb_opt htb{};
    std::memcpy(&htb, parameters->payload.data(), sizeof htb);
    classes.push_back({reply.header<tcmsg>().tcm_handle,
                       full_rate(htb.rate.rate, find_attribute(options->payload, TCA_HTB_RATE64)),
                       full_rate(htb.ceil.rate, find_attribute(options->payload, TCA_HTB_CEIL64))});
  }
  return classes;
}

}  // namespace netctl::netlink
