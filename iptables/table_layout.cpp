#include "iptables/table_layout.hpp"

#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>

namespace netctl::iptables {
namespace {

using F = Field;

constexpr std::array<SetShape, kSetCount> kSets{{
    {SetId::kPublish4,
     "publish4",
     {F::kProtocol, F::kPort},
     {F::kIpv4, F::kPort},
     false,
     false,
     "host port -> container"},
    {SetId::kPublish4Ip,
     "publish4_ip",
     {F::kIpv4, F::kProtocol, F::kPort},
     {F::kIpv4, F::kPort},
     false,
     false,
     "host address and port -> container"},
    {SetId::kPublish4Ranges,
     "publish4_ranges",
     {F::kProtocol, F::kPort},
     {F::kIpv4},
     false,
     true,
     "ranges of ports that keep their numbers"},
    {SetId::kPublish4IpRanges,
     "publish4_ip_ranges",
     {F::kIpv4, F::kProtocol, F::kPort},
     {F::kIpv4},
     false,
     true,
     "ranges of ports that keep their numbers"},
    {SetId::kPublish6,
     "publish6",
     {F::kProtocol, F::kPort},
     {F::kIpv6, F::kPort},
     false,
     false,
     "host port -> container"},
    {SetId::kPublish6Ip,
     "publish6_ip",
     {F::kIpv6, F::kProtocol, F::kPort},
     {F::kIpv6, F::kPort},
     false,
     false,
     "host address and port -> container"},
    {SetId::kPublish6Ranges,
     "publish6_ranges",
     {F::kProtocol, F::kPort},
     {F::kIpv6},
     false,
     true,
     "ranges of ports that keep their numbers"},
    {SetId::kPublish6IpRanges,
     "publish6_ip_ranges",
     {F::kIpv6, F::kProtocol, F::kPort},
     {F::kIpv6},
     false,
     true,
     "ranges of ports that keep their numbers"},
    {SetId::kPublishedTargets4,
     "published_targets4",
     {F::kIpv4, F::kProtocol, F::kPort},
     {},
     false,
     false,
     "reached with the host's address from the own network and from localhost"},
    {SetId::kPublishedTargets6,
     "published_targets6",
     {F::kIpv6, F::kProtocol, F::kPort},
     {},
     false,
     false,
     "reached with the host's address from the own network and from localhost"},
    {SetId::kMasquerade4, "masquerade4", {F::kIpv4}, {}, true, true, "subnet -> chain of its network"},
    {SetId::kMasquerade6, "masquerade6", {F::kIpv6}, {}, true, true, "subnet -> chain of its network"},
    {SetId::kOwnLinks, "own_links", {F::kLink}, {}, false, false, "bridges of our networks"},
    {SetId::kSameLinks,
     "same_links",
     {F::kLink, F::kLink},
     {},
     false,
     false,
     "in and out through the same bridge"},
    {SetId::kGuardedLinks,
     "guarded_links",
     {F::kLink},
     {},
     false,
     false,
     "no 127.0.0.0/8 from here, although route_localnet is on"},
    {SetId::kIsolatedLinks,
     "isolated_links",
     {F::kLink},
     {},
     false,
     false,
     "only published ports are reached here"},
    {SetId::kInternalLinks, "internal_links", {F::kLink}, {}, false, false, "nothing goes in or out here"},
    {SetId::kIngressLinks,
     "ingress_links",
     {F::kLink},
     {},
     false,
     false,
     "bridges in here do not reach each other"},
    {SetId::kPartedLinks,
     "parted_links",
     {F::kLink},
     {},
     false,
     false,
     "nor do containers behind one of these"},
    {SetId::kTunnelPorts,
     "tunnel_ports",
     {F::kProtocol, F::kPort},
     {},
     false,
     false,
     "tunnels to other hosts end here"},
    {SetId::kTunnelPeers4, "tunnel_peers4", {F::kIpv4, F::kPort}, {}, false, false, "who may send to them"},
    {SetId::kTunnelPeers6, "tunnel_peers6", {F::kIpv6, F::kPort}, {}, false, false, "who may send to them"},
}};

// Our destination NAT comes after the one of iptables and kube-proxy (-100): whoever publishes a port cannot take a
// service address away from a cluster (CVE-2019-9946).
constexpr std::int32_t kAfterDestinationNat = NF_IP_PRI_NAT_DST + 5;
constexpr std::int32_t kBeforeFilter = NF_IP_PRI_FILTER - 5;

constexpr std::array<ChainShape, 12> kChains{{
    {kUserForward, nullptr, 0, 0, "your rules for forwarded packets, before ours; netctl never changes them"},
    {kUserPrerouting, nullptr, 0, 0, "your rules before port publishing; netctl never changes them"},
    {kMasqueradePublished, nullptr, 0, 0, nullptr},
    {kPublished, nullptr, 0, 0, nullptr},
    {kPublish, nullptr, 0, 0, nullptr},
    {kTunnelGuard, nullptr, 0, 0, nullptr},
    {kRawGuard, "filter", NF_INET_PRE_ROUTING, NF_IP_PRI_RAW, nullptr},
    {kInput, "filter", NF_INET_LOCAL_IN, kBeforeFilter, nullptr},
    {kForward, "filter", NF_INET_FORWARD, kBeforeFilter, nullptr},
    {kPrerouting, "nat", NF_INET_PRE_ROUTING, kAfterDestinationNat, nullptr},
    {kOutput, "nat", NF_INET_LOCAL_OUT, kAfterDestinationNat, nullptr},
    {kPostrouting, "nat", NF_INET_POST_ROUTING, NF_IP_PRI_NAT_SRC, nullptr},
}};

template <std::size_t N>
std::size_t total_size(const std::array<Field, N>& fields) {
  std::size_t size = 0;
  for (const Field field : fields) size += padded_field_size(field);
  return size;
}

}  // namespace

std::size_t SetShape::key_fields() const {
  std::size_t count = 0;
  for (const Field field : key) count += field != Field::kNone ? 1 : 0;
  return count;
}

std::size_t SetShape::key_size() const { return total_size(key); }
std::size_t SetShape::data_size() const { return total_size(data); }

const std::array<SetShape, kSetCount>& all_sets() { return kSets; }
const SetShape& shape_of(SetId set) { return kSets[static_cast<std::size_t>(set)]; }

SetId publish_map(Family family, bool with_host_ip, bool ranges) {
  const auto first = static_cast<unsigned>(family == Family::kIpv4 ? SetId::kPublish4 : SetId::kPublish6);
  return static_cast<SetId>(first + (with_host_ip ? 1U : 0U) + (ranges ? 2U : 0U));
}

SetId published_targets(Family family) {
  return family == Family::kIpv4 ? SetId::kPublishedTargets4 : SetId::kPublishedTargets6;
}

SetId masquerade_map(Family family) {
  return family == Family::kIpv4 ? SetId::kMasquerade4 : SetId::kMasquerade6;
}

SetId tunnel_peers(Family family) {
  return family == Family::kIpv4 ? SetId::kTunnelPeers4 : SetId::kTunnelPeers6;
}

const std::array<ChainShape, 12>& all_chains() { return kChains; }

bool is_user_chain(std::string_view chain) { return chain.substr(0, kUserPrefix.size()) == kUserPrefix; }

}  // namespace netctl::iptables
