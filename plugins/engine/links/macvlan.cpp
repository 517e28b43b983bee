// An interface of its own on top of a device: no host end, nothing of ours in the host's namespace.

#include "netlink/macvlan.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "netlink/link.hpp"
#include "netlink/route.hpp"
#include "plugins/engine/identity.hpp"
#include "plugins/engine/link_kinds.hpp"

namespace netctl::engine::links {
namespace {

constexpr const char* kMaster = "master";
constexpr const char* kMasterIndex = "masterIndex";
constexpr const char* kMode = "mode";
constexpr const char* kMac = "mac";

/// The device of the default route with the lowest priority; IPv4 before IPv6.
netlink::Link default_master(netlink::Socket& socket) {
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    const netlink::Route* best = nullptr;
    const std::vector<netlink::Route> routes = netlink::list_routes(socket, family);
    for (const netlink::Route& route : routes) {
      if (route.destination.length != 0 || route.link_index == 0) continue;
      if (best == nullptr || route.priority.value_or(0) < best->priority.value_or(0)) best = &route;
    }
    const auto link = best != nullptr ? netlink::find_link(socket, best->link_index) : std::nullopt;
    if (link) return *link;
  }
  throw Error(ErrorCode::kInvalidConfig,
              "master: no default route interface found; name the device that the macvlan goes on top of");
}

netlink::Link find_master(netlink::Socket& socket, const Macvlan& spec) {
  if (spec.master.empty()) return default_master(socket);
  const auto link = netlink::find_link(socket, spec.master);
  if (link) return *link;
  throw Error(ErrorCode::kInvalidConfig,
              std::string("master: there is no interface ") + spec.master +
                  (spec.master_in_container ? " in the container" : " on the host") + "; name another one");
}

/// Ours carries our alias; before it got one, its hardware address (or in passthru mode its master) tells.
bool is_ours(const ipam::AttachmentRecord& record, const nlohmann::json& state, const netlink::Link& link,
             const netlink::Macvlan& macvlan) {
  if (!link.alias.empty()) return digest_in_alias(link.alias) == key_digest(record.key);
  if (macvlan.mode == netlink::MacvlanMode::kPassthru) {
    return macvlan.master_index == state.value(kMasterIndex, 0U);
  }
  return link.mac && link.mac->to_string() == state.value(kMac, "");
}

}  // namespace

nlohmann::json state_of(const Macvlan& spec) {
  return {{kMaster, spec.master}, {kMasterIndex, spec.master_index}, {kMode, netlink::to_string(spec.mode)}};
}

void resolve(Host& host, Container* container, AttachmentRequest& request, Macvlan& spec) {
  if (spec.master_in_container && container == nullptr) return;
  netlink::Socket& socket = spec.master_in_container ? container->route : host.route();
  const netlink::Link master = find_master(socket, spec);
  spec.master = master.name;
  spec.master_index = master.index;
  if (request.network.mtu_bytes > master.mtu_bytes) {
    throw Error(ErrorCode::kInvalidConfig, "mtu: invalid MTU " + std::to_string(request.network.mtu_bytes) +
                                               ", must be [0, master MTU(" +
                                               std::to_string(master.mtu_bytes) + ")]");
  }
  if (!master.up) {
    throw Error(ErrorCode::kInvalidConfig,
                "master: " + master.name + " is down, and nothing on top of it can be up; run `ip link set " +
                    master.name + " up`, or name another device");
  }
  // It shares the master's hardware address: the kernel gives it no other.
  if (spec.mode == netlink::MacvlanMode::kPassthru) request.endpoint.mac = master.mac;
}

void make(Host& host, Container& container, const Plan& plan, const MacvlanPlan& shape,
          const SharedNetwork& /*network*/) {
  netlink::MacvlanSpec spec;
  spec.name = plan.link->container_ifname;
  if (shape.own_mac) spec.mac = plan.link->container_mac;
  spec.master_index = shape.spec.master_index;
  spec.mode = shape.spec.mode;
  spec.mtu_bytes = plan.link->mtu_bytes;
  spec.broadcast_queue_length = shape.spec.broadcast_queue_length;
  spec.netns_fd = shape.spec.master_in_container ? -1 : container.netns.fd();
  netlink::Socket& socket = shape.spec.master_in_container ? container.route : host.route();
  try {
    socket.transact(netlink::create_macvlan(spec));
  } catch (const Error& error) {
    if (error.sys_errno() == EEXIST) throw_if_taken(container, *plan.link);
    throw;
  }
  const std::uint32_t index = must_find(container.route, plan.link->container_ifname);
  container.route.transact(netlink::set_alias(index, plan.link->alias));
}

void undo_macvlan(Host& /*host*/, const ipam::AttachmentRecord& record, const nlohmann::json& state) {
  std::optional<Container> container = reenter(record);
  if (!container) return;  // the kernel deleted it with its namespace
  const auto link = netlink::find_link(container->route, record.key.ifname);
  const auto macvlan = netlink::find_macvlan(container->route, record.key.ifname);
  if (!link || !macvlan || !is_ours(record, state, *link, *macvlan)) return;
  container->route.transact(netlink::delete_link(link->index));
}

std::vector<std::string> macvlan_drift(Host& /*host*/, const ipam::AttachmentRecord& record,
                                       const nlohmann::json& state) {
  std::vector<std::string> findings;
  std::optional<Container> container = reenter(record);
  if (!container) return findings;  // who looks at the namespace says so already
  const auto macvlan = netlink::find_macvlan(container->route, record.key.ifname);
  if (!macvlan) {
    findings.push_back(record.key.ifname + " is no macvlan");
    return findings;
  }
  const std::string mode = netlink::to_string(macvlan->mode);
  if (mode != state.value(kMode, "")) {
    findings.push_back("the mode of " + record.key.ifname + " is " + mode + " instead of " +
                       state.value(kMode, ""));
  }
  if (macvlan->master_index != state.value(kMasterIndex, 0U)) {
    findings.push_back(record.key.ifname + " is not on top of " + state.value(kMaster, "") + " any more");
  }
  return findings;
}

}  // namespace netctl::engine::links
