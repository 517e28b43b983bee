#include "netlink/conntrack.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>

#include <algorithm>
#include <vector>

namespace netctl::netlink {
namespace {

constexpr Attr<CTA_IP_V4_SRC, IpAddress> kSourceV4{};
constexpr Attr<CTA_IP_V4_DST, IpAddress> kDestinationV4{};
constexpr Attr<CTA_PROTO_NUM, std::uint8_t> kProtocol{};
constexpr Attr<CTA_PROTO_SRC_PORT, BigEndian<std::uint16_t>> kSourcePort{};
constexpr Attr<CTA_PROTO_DST_PORT, BigEndian<std::uint16_t>> kDestinationPort{};
constexpr Attr<CTA_STATUS, BigEndian<std::uint32_t>> kStatus{};
constexpr Attr<CTA_STATUS_MASK, BigEndian<std::uint32_t>> kStatusMask{};
constexpr Attr<CTA_FILTER_ORIG_FLAGS, std::uint32_t> kOriginalFields{};
constexpr Attr<CTA_FILTER_REPLY_FLAGS, std::uint32_t> kReplyFields{};
// Handed back to the kernel as they came from it.
constexpr Attr<CTA_TUPLE_ORIG | NLA_F_NESTED, Bytes> kOriginalTuple{};
constexpr Attr<CTA_ID, Bytes> kId{};
constexpr Attr<CTA_ZONE, Bytes> kZone{};

// Which fields of a tuple count (net/netfilter/nf_internals.h; no exported header has them). Host byte order.
constexpr std::uint32_t kMatchSource = 1U << 0;
constexpr std::uint32_t kMatchDestination = 1U << 1;
constexpr std::uint32_t kMatchProtocol = 1U << 3;
constexpr std::uint32_t kMatchSourcePort = 1U << 4;
constexpr std::uint32_t kMatchDestinationPort = 1U << 5;

// Deletes that fit the default socket buffers.
constexpr std::size_t kDeletesPerBatch = 128;

// A dump costs as much as this many walks through the table.
constexpr std::size_t kSelectorsWorthADump = 16;

/// One direction of a flow, or what is wanted of it.
struct Tuple {
  std::optional<IpAddress> source;
  std::optional<IpAddress> destination;
  std::optional<std::uint8_t> protocol;
  std::optional<std::uint16_t> source_port;
  std::optional<std::uint16_t> destination_port;
};

template <class T>
bool agrees(const std::optional<T>& wanted, const std::optional<T>& actual) {
  return !wanted || wanted == actual;
}

bool agrees(const Tuple& wanted, const Tuple& actual) {
  return agrees(wanted.source, actual.source) && agrees(wanted.destination, actual.destination) &&
         agrees(wanted.protocol, actual.protocol) && agrees(wanted.source_port, actual.source_port) &&
         agrees(wanted.destination_port, actual.destination_port);
}

Tuple original_of(const FlowSelector& selector) {
  return {selector.original_source, selector.original_destination, selector.protocol, std::nullopt,
          selector.original_destination_port};
}

Tuple reply_of(const FlowSelector& selector) {
  // The protocol is the same both ways; naming it once is enough, unless a port of this side needs it.
  const auto protocol = selector.reply_source_port ? selector.protocol : std::nullopt;
  return {selector.reply_source, std::nullopt, protocol, selector.reply_source_port, std::nullopt};
}

/// Leaves out what the kernel would compare wrongly.
Tuple kernel_part(Tuple tuple) {
  if (tuple.source && !tuple.source->is_v4()) tuple.source.reset();
  if (tuple.destination && !tuple.destination->is_v4()) tuple.destination.reset();
  const int protocol = tuple.protocol.value_or(IPPROTO_IP);
  if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP) {
    tuple.source_port.reset();
    tuple.destination_port.reset();
  }
  return tuple;
}

bool kernel_knows_all(const Tuple& wanted) {
  const Tuple part = kernel_part(wanted);
  return part.source == wanted.source && part.destination == wanted.destination &&
         part.source_port == wanted.source_port && part.destination_port == wanted.destination_port;
}

std::uint32_t fields_of(const Tuple& wanted) {
  return (wanted.source ? kMatchSource : 0) | (wanted.destination ? kMatchDestination : 0) |
         (wanted.protocol ? kMatchProtocol : 0) | (wanted.source_port ? kMatchSourcePort : 0) |
         (wanted.destination_port ? kMatchDestinationPort : 0);
}

void put_tuple(Request& request, std::uint16_t direction, const Tuple& wanted) {
  if (fields_of(wanted) == 0) return;
  request.nest(direction, [&wanted](Request& tuple) {
    if (wanted.source || wanted.destination) {
      tuple.nest(CTA_TUPLE_IP, [&wanted](Request& ip) {
        if (wanted.source) ip.put(kSourceV4, *wanted.source);
        if (wanted.destination) ip.put(kDestinationV4, *wanted.destination);
      });
    }
    if (wanted.protocol) {
      tuple.nest(CTA_TUPLE_PROTO, [&wanted](Request& proto) {
        proto.put(kProtocol, *wanted.protocol);
        if (wanted.source_port) proto.put(kSourcePort, {*wanted.source_port});
        if (wanted.destination_port) proto.put(kDestinationPort, {*wanted.destination_port});
      });
    }
  });
}

Request conntrack_request(std::uint8_t message, Family family) {
  Request request(
      static_cast<std::uint16_t>((NFNL_SUBSYS_CTNETLINK << 8) | message), 0,
      message == IPCTNL_MSG_CT_DELETE ? "forget tracked connections" : "list tracked connections");
  auto& header = request.header<nfgenmsg>();
  header.nfgen_family = IpAddress::any(family).af();
  header.version = NFNETLINK_V0;
  return request;
}

Request filtered_request(std::uint8_t message, const FlowSelector& selector) {
  const Tuple original = kernel_part(original_of(selector));
  const Tuple reply = kernel_part(reply_of(selector));
  Request request = conntrack_request(message, selector.family);
  put_tuple(request, CTA_TUPLE_ORIG, original);
  put_tuple(request, CTA_TUPLE_REPLY, reply);
  if (selector.only_untranslated) request.put(kStatus, {0}).put(kStatusMask, {IPS_NAT_MASK});
  request.nest(CTA_FILTER, [&](Request& filter) {
    filter.put(kOriginalFields, fields_of(original)).put(kReplyFields, fields_of(reply));
  });
  return request;
}

Tuple read_tuple(Bytes attributes) {
  Tuple tuple;
  const auto ip = find_attribute(attributes, CTA_TUPLE_IP);
  const auto proto = find_attribute(attributes, CTA_TUPLE_PROTO);
  for (const Attribute& attribute : parse_attributes(ip ? ip->payload : Bytes())) {
    if (attribute.type == CTA_IP_V4_SRC || attribute.type == CTA_IP_V6_SRC) tuple.source = attribute.ip();
    if (attribute.type == CTA_IP_V4_DST || attribute.type == CTA_IP_V6_DST)
      tuple.destination = attribute.ip();
  }
  for (const Attribute& attribute : parse_attributes(proto ? proto->payload : Bytes())) {
    if (attribute.type == CTA_PROTO_NUM) tuple.protocol = attribute.u8();
    if (attribute.type == CTA_PROTO_SRC_PORT) tuple.source_port = attribute.be16();
    if (attribute.type == CTA_PROTO_DST_PORT) tuple.destination_port = attribute.be16();
  }
  return tuple;
}

bool means(const FlowSelector& selector, const Tuple& original, const Tuple& reply, std::uint32_t status) {
  return agrees(original_of(selector), original) && agrees(reply_of(selector), reply) &&
         (!selector.only_untranslated || (status & IPS_NAT_MASK) == 0);
}

/// The delete of this one flow; nullopt when no selector means it.
std::optional<Request> delete_if_selected(const Reply& flow, const std::vector<FlowSelector>& selectors) {
  const Bytes attributes = flow.attributes<nfgenmsg>();
  const auto original = find_attribute(attributes, CTA_TUPLE_ORIG);
  const auto answer = find_attribute(attributes, CTA_TUPLE_REPLY);
  const auto id = find_attribute(attributes, CTA_ID);
  const auto status = find_attribute(attributes, CTA_STATUS);
  if (!original || !answer || !id || !status) return std::nullopt;
  const Tuple there = read_tuple(original->payload);
  const Tuple back = read_tuple(answer->payload);
  const bool selected = std::any_of(selectors.begin(), selectors.end(), [&](const FlowSelector& selector) {
    return means(selector, there, back, status->be32());
  });
  if (!selected) return std::nullopt;
  Request request = conntrack_request(IPCTNL_MSG_CT_DELETE, selectors.front().family);
  request.put(kOriginalTuple, original->payload).put(kId, id->payload);
  if (const auto zone = find_attribute(attributes, CTA_ZONE)) request.put(kZone, zone->payload);
  request.tolerate({ENOENT});  // it ended between the dump and now, or its tuple belongs to a new flow
  return request;
}

/// Whether the namespace tracks anything at all. A dump looks into every bucket before it can say so.
bool tracks_anything(Socket& netfilter) {
  const auto stats = netfilter.get(conntrack_request(IPCTNL_MSG_CT_GET_STATS, Family::kIpv4));
  if (!stats) return true;
  const auto entries = find_attribute(stats->attributes<nfgenmsg>(), CTA_STATS_GLOBAL_ENTRIES);
  return !entries || entries->be32() != 0;
}

/// `selectors` are of one family.
void forget_by_dump(Socket& netfilter, const std::vector<FlowSelector>& selectors) {
  if (selectors.empty() || !tracks_anything(netfilter)) return;
  // The kernel takes one filter; for several selectors it is the family.
  FlowSelector common;
  common.family = selectors.front().family;
  const Request dump =
      filtered_request(IPCTNL_MSG_CT_GET, selectors.size() == 1 ? selectors.front() : common);
  std::vector<Request> deletes;
  for (const Reply& reply : netfilter.dump(dump)) {
    if (auto request = delete_if_selected(reply, selectors)) deletes.push_back(std::move(*request));
    if (deletes.size() == kDeletesPerBatch) {
      netfilter.transact_all(deletes);
      deletes.clear();
    }
  }
  netfilter.transact_all(deletes);
}

void refuse_vague(const FlowSelector& selector) {
  const std::uint32_t fields = fields_of(original_of(selector)) | fields_of(reply_of(selector));
  const bool port_without_protocol =
      !selector.protocol && (selector.original_destination_port || selector.reply_source_port);
  if ((fields & ~kMatchProtocol) == 0 || port_without_protocol) {
    throw Error(ErrorCode::kInternal, "connections are forgotten by address, or by protocol and port");
  }
}

/// False when the kernel cannot be asked for exactly these flows. Nothing was deleted then.
bool forget_by_filter(Socket& netfilter, const FlowSelector& selector) {
  if (!kernel_knows_all(original_of(selector)) || !kernel_knows_all(reply_of(selector))) return false;
  Request request = filtered_request(IPCTNL_MSG_CT_DELETE, selector);
  // EINVAL, EOPNOTSUPP: what older kernels say to a tuple that is not complete; they have deleted nothing then.
  request.tolerate({ENOENT, EINVAL, EOPNOTSUPP});
  const int sys_errno = netfilter.transact(request);
  return sys_errno == 0 || sys_errno == ENOENT;
}

}  // namespace

void forget_flows(Socket& netfilter, std::span<const FlowSelector> selectors) {
  std::vector<FlowSelector> left_v4;
  std::vector<FlowSelector> left_v6;
  const bool many = selectors.size() > kSelectorsWorthADump;
  for (const FlowSelector& selector : selectors) {
    refuse_vague(selector);
    if (!many && forget_by_filter(netfilter, selector)) continue;
    (selector.family == Family::kIpv4 ? left_v4 : left_v6).push_back(selector);
  }
  forget_by_dump(netfilter, left_v4);
  forget_by_dump(netfilter, left_v6);
}

void forget_flows(Socket& netfilter, const FlowSelector& selector) {
  forget_flows(netfilter, {&selector, 1});
}

}  // namespace netctl::netlink
