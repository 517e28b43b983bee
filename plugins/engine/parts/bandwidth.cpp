#include "plugins/engine/parts/bandwidth.hpp"

#include <sched.h>
#include <sys/socket.h>

#include <algorithm>
#include <limits>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "netlink/link.hpp"
#include "plugins/engine/identity.hpp"

namespace netctl::engine {
namespace {

// The state: {"host", "hostIndex", "device" or null, "ingress" and "egress": {"rate", "burst"} or null, "subnets",
// "onlySubnets", and once all is made "ingressOptions", "egressOptions": what the kernel made of a tbf}.

// "nc": tells our disciplines from those of others, who mostly number theirs from 1.
constexpr std::uint32_t kHandle = 0x6e630000;
constexpr std::uint16_t kUnshapedMinor = 1;
constexpr std::uint16_t kShapedMinor = 0x30;
constexpr netlink::RateLimit kUnlimited{100'000'000'000, 1U << 20U};
constexpr std::uint64_t kLatencyMilliseconds = 25;  // of what waits for its turn, as the reference has it
constexpr std::uint32_t kShortestQueue = 1000;      // packets; an ifb has 32 of its own accord

/// `modules`: what a kernel lacks that does not know the request, for the sentence.
void transact(netlink::Socket& socket, const netlink::Request& request, const char* modules) {
  try {
    socket.transact(request);
  } catch (const Error& error) {
    if (error.sys_errno() == EEXIST) {
      throw Error(ErrorCode::kInvalidConfig,
                  error.message() +
                      "; it has a queueing discipline of somebody else: remove that (tc qdisc del), or "
                      "leave bandwidth out of the chain",
                  error.details(), error.sys_errno());
    }
    if (error.sys_errno() != ENOENT && error.sys_errno() != EOPNOTSUPP) throw;
    throw Error(ErrorCode::kNotAvailable,
                error.message() + "; this kernel cannot limit bandwidth without " + modules +
                    ": load it, or leave bandwidth out of the chain",
                error.details(), error.sys_errno());
  }
}

std::string device_name(const ipam::AttachmentKey& key) {
  return "bwp" + hash_parts({"ifb", key.network, key.container_id, key.ifname}).hex(12);
}

netlink::Link host_end_of(Host& host, Container& container, const std::string& ifname) {
  const auto inside = netlink::find_link(container.route, ifname);
  if (!inside) {
    throw Error(ErrorCode::kInvalidConfig,
                "the container has no interface " + ifname +
                    "; chain bandwidth behind the plugin that makes the interface");
  }
  auto outside = inside->kind == "veth" ? netlink::find_link(host.route(), inside->peer_index) : std::nullopt;
  const bool is_pair = outside && outside->kind == "veth" && outside->peer_index == inside->index;
  if (is_pair) return std::move(*outside);
  throw Error(
      ErrorCode::kInvalidConfig,
      "container interface " + ifname +
          " has no veth peer in the host's namespace; bandwidth can only be limited behind plugins that "
          "make veth pairs, such as bridge and ptp");
}

[[noreturn]] void throw_taken(const std::string& link, const std::string& kind) {
  throw Error(ErrorCode::kInvalidConfig,
              link + " has the queueing discipline " + kind +
                  " of somebody else; remove it (tc qdisc del), or leave bandwidth out of the chain");
}

nlohmann::json to_json(const std::optional<netlink::RateLimit>& limit) {
  if (!limit) return nullptr;
  return {{"rate", limit->rate_bytes_per_second}, {"burst", limit->burst_bytes}};
}

std::optional<netlink::RateLimit> limit_from(const nlohmann::json& state, const char* direction) {
  const nlohmann::json limit = state.value(direction, nlohmann::json());
  if (!limit.is_object()) return std::nullopt;
  return netlink::RateLimit{limit.at("rate").get<std::uint64_t>(), limit.at("burst").get<std::uint32_t>()};
}

std::vector<IpPrefix> subnets_from(const nlohmann::json& state) {
  std::vector<IpPrefix> subnets;
  for (const nlohmann::json& text : state.value("subnets", nlohmann::json::array())) {
    if (const auto subnet = IpPrefix::parse(text.get<std::string>())) subnets.push_back(*subnet);
  }
  return subnets;
}

nlohmann::json prepare(Host& host, Container& container, const BandwidthRequest& request) {
  const netlink::Link link = host_end_of(host, container, request.key.ifname);
  // Beforehand, because undoing cannot tell an ingress discipline without filters from ours.
  const auto ingress =
      request.egress ? netlink::find_qdisc(host.route(), link.index, netlink::kIngressParent) : std::nullopt;
  if (ingress) throw_taken(link.name, ingress->kind);
  nlohmann::json state = {{"host", link.name},
                          {"hostIndex", link.index},
                          {"device", nullptr},
                          {"ingress", to_json(request.ingress)},
                          {"egress", to_json(request.egress)},
                          {"subnets", nlohmann::json::array()},
                          {"onlySubnets", request.only_subnets}};
  if (request.egress) state["device"] = device_name(request.key);
  for (const IpPrefix& subnet : request.subnets) state["subnets"].push_back(subnet.to_string());
  return state;
}

std::uint32_t waiting_bytes(const netlink::RateLimit& limit) {
  const std::uint64_t queued = limit.rate_bytes_per_second / 1000 * kLatencyMilliseconds;
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>(queued + limit.burst_bytes, std::numeric_limits<std::uint32_t>::max()));
}

/// Class of what the filters pick, and of everything else.
struct ClassOrder {
  std::uint16_t picked;
  std::uint16_t rest;
};

ClassOrder class_order(bool only_subnets) {
  return only_subnets ? ClassOrder{kShapedMinor, kUnshapedMinor} : ClassOrder{kUnshapedMinor, kShapedMinor};
}

void shape(netlink::Socket& socket, std::uint32_t link_index, const netlink::RateLimit& limit,
           const BandwidthRequest& request, netlink::AddressSide other_end) {
  if (request.subnets.empty()) {
    transact(socket, netlink::add_token_bucket(link_index, kHandle, limit, waiting_bytes(limit)), "sch_tbf");
    return;
  }
  const ClassOrder order = class_order(request.only_subnets);
  transact(socket, netlink::add_class_tree(link_index, kHandle, order.rest), "sch_htb");
  socket.transact(netlink::add_class(link_index, kHandle | kShapedMinor, limit));
  socket.transact(netlink::add_class(link_index, kHandle | kUnshapedMinor, kUnlimited));
  for (const IpPrefix& subnet : request.subnets) {
    transact(socket, netlink::classify(link_index, kHandle, subnet, other_end, kHandle | order.picked),
             "cls_u32");
  }
}

netlink::Link create_device(Host& host, const ipam::AttachmentRecord& record, const netlink::Link& host_end) {
  const std::string name = device_name(record.key);
  const std::uint32_t queue = std::max(host_end.tx_queue_length, kShortestQueue);
  transact(host.route(), netlink::create_ifb(name, host_end.mtu_bytes, queue), "ifb");
  auto device = netlink::find_link(host.route(), name);
  if (!device) throw Error(ErrorCode::kTryAgainLater, name + " vanished as it was being set up; try again");
  host.route().transact(netlink::set_alias(device->index, link_alias(record.key, {})));
  return std::move(*device);
}

std::string hex(const std::vector<std::uint8_t>& bytes) {
  constexpr const char* kDigits = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : bytes) {
    text += kDigits[byte >> 4U];
    text += kDigits[byte & 15U];
  }
  return text;
}

/// What CHECK compares with; empty where classes and filters tell.
std::string discipline_settings(Host& host, std::uint32_t link_index, const BandwidthRequest& request) {
  if (!request.subnets.empty()) return "";
  const auto root = netlink::find_qdisc(host.route(), link_index, netlink::kRootParent);
  if (root && root->kind == "tbf") return hex(root->options);
  throw Error(ErrorCode::kTryAgainLater, "a rate limit vanished as it was being set up; try again");
}

std::optional<ShapingDevice> apply(Host& host, const ipam::AttachmentRecord& record,
                                   const BandwidthRequest& request, nlohmann::json& state) {
  const auto host_end = netlink::find_link(host.route(), state["hostIndex"].get<std::uint32_t>());
  if (!host_end)
    throw Error(ErrorCode::kTryAgainLater, "the host's end of the veth pair vanished; try again");
  if (request.ingress) {
    shape(host.route(), host_end->index, *request.ingress, request, netlink::AddressSide::kSource);
    state["ingressOptions"] = discipline_settings(host, host_end->index, request);
  }
  if (!request.egress) return std::nullopt;
  const netlink::Link device = create_device(host, record, *host_end);
  shape(host.route(), device.index, *request.egress, request, netlink::AddressSide::kDestination);
  state["egressOptions"] = discipline_settings(host, device.index, request);
  transact(host.route(), netlink::add_ingress(host_end->index), "sch_ingress");
  transact(host.route(), netlink::redirect_incoming(host_end->index, device.index), "cls_u32 and act_mirred");
  return ShapingDevice{device.name, device.mac ? device.mac->to_string() : ""};
}

std::optional<netlink::Link> recorded_host_end(Host& host, const nlohmann::json& state) {
  auto link = netlink::find_link(host.route(), state.at("hostIndex").get<std::uint32_t>());
  if (link && link->kind == "veth" && link->name == state.at("host").get<std::string>()) return link;
  return std::nullopt;
}

/// Ours by its name, which is a hash of the identity, and its alias; one that a crash left without an alias too.
std::optional<netlink::Link> recorded_device(Host& host, const ipam::AttachmentRecord& record,
                                             const nlohmann::json& state) {
  const nlohmann::json name = state.value("device", nlohmann::json());
  auto link = name.is_string() ? netlink::find_link(host.route(), name.get<std::string>()) : std::nullopt;
  const bool ours = link && link->kind == "ifb" &&
                    (link->alias.empty() || digest_in_alias(link->alias) == key_digest(record.key));
  return ours ? std::move(link) : std::nullopt;
}

void check_shape(Host& host, const netlink::Link& link, const nlohmann::json& state, const char* direction,
                 std::vector<std::string>& findings) {
  const bool is_ingress = std::string_view(direction) == "ingress";
  const auto limit = limit_from(state, direction);
  const std::vector<IpPrefix> subnets = subnets_from(state);
  const std::string what = std::string("the ") + direction + " limit on " + link.name;
  if (!limit) return;
  const auto root = netlink::find_qdisc(host.route(), link.index, netlink::kRootParent);
  if (!root || root->handle != kHandle || root->kind != (subnets.empty() ? "tbf" : "htb")) {
    findings.push_back(what + " is gone");
    return;
  }
  if (subnets.empty()) {
    if (hex(root->options) != state.value(std::string(direction) + "Options", ""))
      findings.push_back(what + " was changed");
    return;
  }
  const auto classes = netlink::list_classes(host.route(), link.index);
  const bool limited = std::any_of(classes.begin(), classes.end(), [&](const netlink::TrafficClass& one) {
    return one.class_id == (kHandle | kShapedMinor) &&
           one.rate_bytes_per_second == limit->rate_bytes_per_second &&
           one.ceiling_bytes_per_second == limit->rate_bytes_per_second;
  });
  if (!limited) findings.push_back(what + " was changed");
  const auto side = is_ingress ? netlink::AddressSide::kSource : netlink::AddressSide::kDestination;
  const ClassOrder order = class_order(state.value("onlySubnets", false));
  const auto filters = netlink::list_filters(host.route(), link.index, kHandle);
  for (const IpPrefix& subnet : subnets) {
    const auto wanted = netlink::expected_filter(subnet, side, kHandle | order.picked);
    if (std::find(filters.begin(), filters.end(), wanted) != filters.end()) continue;
    findings.push_back(what + " does not pick out " + subnet.to_string());
  }
}

void probe(netlink::Socket& socket) {
  constexpr std::uint32_t kLoopbackIndex = 1;  // LOOPBACK_IFINDEX (include/net/flow.h)
  const netlink::RateLimit limit{125'000, 10'000};
  transact(socket, netlink::create_ifb("probe", 1500, kShortestQueue), "ifb");
  const std::uint32_t index = socket.find_link_index("probe").value_or(0);
  BandwidthRequest all;
  shape(socket, index, limit, all, netlink::AddressSide::kSource);
  transact(socket, netlink::add_ingress(index), "sch_ingress");
  transact(socket, netlink::redirect_incoming(index, kLoopbackIndex), "cls_u32 and act_mirred");
  socket.transact(netlink::delete_qdisc(index, netlink::kRootParent, kHandle));
  BandwidthRequest some;
  some.subnets = {IpPrefix{IpAddress(), 0}};
  shape(socket, index, limit, some, netlink::AddressSide::kSource);
}

}  // namespace

std::optional<ShapingDevice> limit_bandwidth(Host& host, const BandwidthRequest& request) {
  Container container = Container::enter(request.netns_path, request.netns_override);
  std::optional<ShapingDevice> device;
  const PartSteps steps{
      .prepare = [&] { return prepare(host, container, request); },
      .apply = [&](const ipam::AttachmentRecord& record,
                   nlohmann::json& state) { device = apply(host, record, request, state); }};
  add_part(host, {request.key, kBandwidthPart, request.netns_path, request.container_name}, steps);
  return device;
}

void require_shaping() {
  const netlink::Netns home = netlink::Netns::current();
  if (::unshare(CLONE_NEWNET) != 0) {
    throw Error(ErrorCode::kNotAvailable,
                "bandwidth can only be limited by root (CAP_NET_ADMIN); run as root", errno_text(errno));
  }
  const netlink::Netns empty = netlink::Netns::current();
  if (::setns(home.fd(), CLONE_NEWNET) != 0) throw_errno("could not return to the host's network namespace");
  std::optional<netlink::Socket> socket;
  empty.run([&socket] { socket = netlink::Socket::open(netlink::Bus::kRoute); });
  probe(*socket);
}

void undo_bandwidth(Host& host, const ipam::AttachmentRecord& record, const nlohmann::json& state) {
  const auto device = recorded_device(host, record, state);
  if (const auto link = recorded_host_end(host, state)) {
    if (limit_from(state, "egress") &&
        netlink::find_qdisc(host.route(), link->index, netlink::kIngressParent)) {
      const auto filters = netlink::list_filters(host.route(), link->index, netlink::kIngressHandle);
      const std::uint32_t target = device ? device->index : 0;
      const bool ours = std::all_of(filters.begin(), filters.end(), [target](const netlink::Filter& filter) {
        return filter.redirect_index == target || filter.redirect_index == 0;
      });
      if (ours) {
        host.route().transact(
            netlink::delete_qdisc(link->index, netlink::kIngressParent, netlink::kIngressHandle));
      }
    }
    // The kernel deletes none of another handle.
    host.route().transact(netlink::delete_qdisc(link->index, netlink::kRootParent, kHandle));
  }
  if (device) host.route().transact(netlink::delete_link(device->index));
}

std::vector<std::string> bandwidth_drift(Host& host, const ipam::AttachmentRecord& record,
                                         const nlohmann::json& state) {
  std::vector<std::string> findings;
  const auto link = recorded_host_end(host, state);
  if (!link) return {"the host's end " + state.value("host", "") + " is gone"};
  check_shape(host, *link, state, "ingress", findings);
  if (!limit_from(state, "egress")) return findings;
  const auto device = recorded_device(host, record, state);
  if (!device) {
    findings.push_back("the device " + state.at("device").get<std::string>() + " is gone");
    return findings;
  }
  if (!device->up) findings.push_back(device->name + " is down");
  check_shape(host, *device, state, "egress", findings);
  const auto filters = netlink::list_filters(host.route(), link->index, netlink::kIngressHandle);
  const bool redirected = std::any_of(filters.begin(), filters.end(), [&](const netlink::Filter& filter) {
    return filter.redirect_index == device->index;
  });
  if (!redirected) findings.push_back("what the container sends is not led through " + device->name);
  return findings;
}

}  // namespace netctl::engine
