#include "plugins/engine/attach.hpp"

#include <sys/stat.h>
#include <sys/vfs.h>
#include <linux/magic.h>

#include <cerrno>

#include "base/error.hpp"
#include "base/undo_stack.hpp"
#include "netlink/address.hpp"
#include "netlink/link.hpp"
#include "netlink/sysctl.hpp"
#include "plugins/cni/delegate.hpp"
#include "plugins/cni/version.hpp"
#include "plugins/engine/addressing.hpp"
#include "plugins/engine/detach.hpp"
#include "plugins/engine/flows.hpp"
#include "plugins/engine/link_kinds.hpp"
#include "plugins/engine/liveness.hpp"
#include "plugins/engine/log.hpp"
#include "plugins/engine/network.hpp"
#include "plugins/engine/ports.hpp"
#include "plugins/engine/reserve.hpp"

namespace netctl::engine {
namespace {

constexpr std::uint32_t kLoopbackIndex = 1;  // LOOPBACK_IFINDEX (include/net/flow.h)

/// False when a userspace driver has the device: then there is nothing to give addresses to.
bool has_interface(const Plan& plan) {
  const auto* moved = std::get_if<DevicePlan>(&plan.link->shape);
  return moved == nullptr || moved->device;
}

void configure_container_end(Container& container, const Plan& plan) {
  std::vector<netlink::Request> requests{netlink::set_up(kLoopbackIndex)};
  if (!has_interface(plan)) {
    container.route.transact_all(requests);
    return;
  }
  const std::uint32_t index = must_find(container.route, plan.link->container_ifname);
  const auto detection =
      plan.detect_duplicates ? netlink::DuplicateDetection::kOn : netlink::DuplicateDetection::kOff;
  const auto prefix_route = plan.connected_routes ? netlink::PrefixRoute::kOn : netlink::PrefixRoute::kOff;
  for (const IpPrefix& address : plan.addresses) {
    requests.push_back(netlink::add_address(index, address, detection, prefix_route));
  }
  if (plan.link->up) requests.push_back(netlink::set_up(index));
  for (netlink::Route route : plan.kernel_routes) {
    route.link_index = index;
    requests.push_back(netlink::add_route(route));
  }
  container.netns.run([&] { netlink::write_sysctls(plan.container_sysctls); });
  container.route.transact_all(requests);
}

cni::Result make_result(const AttachmentRequest& request, const Plan& plan, const SharedNetwork& network,
                        const ipam::AttachmentRecord& record) {
  cni::Result result;
  result.interfaces = host_interfaces(plan, network);
  std::optional<int> container_interface;
  if (has_interface(plan)) {
    container_interface = static_cast<int>(result.interfaces.size());
    cni::Interface container_end;
    container_end.name = request.key.ifname;  // also when the runtime gives it that name, later
    container_end.mac = plan.link->container_mac.to_string();
    container_end.sandbox = request.netns_path;
    if (plan.link->mtu_bytes != 0) container_end.mtu_bytes = plan.link->mtu_bytes;
    result.interfaces.push_back(std::move(container_end));
  }
  if (!network.gateway_mac.empty()) {
    cni::Interface gateway;
    gateway.name = plan.network.gateway_link;
    gateway.mac = network.gateway_mac;
    result.interfaces.push_back(std::move(gateway));
  }
  for (const ipam::LeaseRecord& lease : record.leases) {
    result.ips.push_back({lease.address, lease.gateway, container_interface});
  }
  result.routes = plan.routes;
  result.dns = plan.dns;
  result.netctl = chosen_ports(request.endpoint.ports, record.ports);
  return result;
}

void remember(const Plan& plan, const AttachmentRequest& request, ipam::AttachmentRecord& record) {
  record.parts[request.driver] = ipam::State::kReady;
  if (plan.link->handed_over) record.extra[kHandedOver] = true;
  if (has_interface(plan)) record.container_mac = plan.link->container_mac.to_string();
  if (!plan.link->host_ifname.empty()) record.host_mac = plan.link->host_mac.to_string();
  const auto* port = std::get_if<BridgePortPlan>(&plan.link->shape);
  if (port == nullptr) return;
  record.extra["port"] = {{"hairpin", port->hairpin}, {"isolated", port->isolated}, {"locked", port->locked}};
  if (port->vlan.is_wanted()) record.extra["port"]["vlan"] = links::to_json(port->vlan);
}

/// What can be made before another plugin's IPAM has said which addresses there are.
AttachmentRequest without_addresses(AttachmentRequest request) {
  request.addressing = {};
  request.network.is_gateway = false;
  request.network.masquerade = false;
  request.endpoint.default_gateway = false;
  request.endpoint.ports.clear();
  return request;
}

void set_alias(Host& host, Container& container, const LinkPlan& link) {
  const bool has_host_end = !link.host_ifname.empty();
  netlink::Socket& socket = has_host_end ? host.route() : container.route;
  const std::string& name = has_host_end ? link.host_ifname : link.container_ifname;
  socket.transact(netlink::set_alias(must_find(socket, name), link.alias));
}

/// The link first, with the hardware address that it keeps; then the IPAM plugin is asked, and the rest is planned.
Plan make_link_for_delegate(Host& host, Container& container, AttachmentRequest& request,
                            Reservation& reserved) {
  const Plan bare = make_plan(without_addresses(request), {}, {});
  make_link(host, container, bare, ensure_network(host, bare.network, reserved.network));
  add_delegated_leases(host, request, reserved);
  Plan plan = make_plan(request, reserved.record.leases, reserved.record.ports);
  plan.link->container_mac = bare.link->container_mac;
  set_alias(host, container, *plan.link);
  return plan;
}

cni::Result apply(Host& host, Container& container, AttachmentRequest& request, Reservation& reserved) {
  ipam::AttachmentRecord& record = reserved.record;
  const bool link_is_made = asks_delegate_behind_link(request);
  const Plan plan = link_is_made ? make_link_for_delegate(host, container, request, reserved)
                                 : make_plan(request, record.leases, record.ports);
  const SharedNetwork network = ensure_network(host, plan.network, reserved.network);
  if (!link_is_made) make_link(host, container, plan, network);
  put_policy(host, policy_at_link(plan.network.policy, record), plan.ports);
  if (!plan.link->handed_over) configure_container_end(container, plan);
  forget_flows_before(host, plan.ports);
  cni::Result result = make_result(request, plan, network, record);
  remember(plan, request, record);
  record.result = result.to_json(cni::kNewestVersion);
  host.live().write([&record](ipam::Transaction& store) { store.put_attachment(record); });
  return result;
}

void report_undo(const std::string& step, const std::string& reason) {
  log_warning("while taking back a failed ADD: could not " + step + ": " + reason + "; `netctl gc` will");
}

/// The runtime may make the sandbox later (then its path is missing), or where this process does not see its mount (then an
/// empty file is there). 0: not known. What is anything else but a namespace is refused.
std::uint64_t cookie_of_sandbox(const AttachmentRequest& request) {
  struct stat status {};
  struct statfs home {};
  if (::stat(request.netns_path.c_str(), &status) != 0) {
    if (errno == ENOENT) return 0;
  } else if (::statfs(request.netns_path.c_str(), &home) == 0 && home.f_type != NSFS_MAGIC) {
    if (S_ISREG(status.st_mode) && status.st_size == 0) return 0;
  }
  return Container::enter(request.netns_path, request.netns_override).cookie;
}

/// The namespace in which the container's end is made.
Container enter_container(const AttachmentRequest& request) {
  if (!request.endpoint.handed_over) return Container::enter(request.netns_path, request.netns_override);
  const std::uint64_t cookie = cookie_of_sandbox(request);
  Container container = Container::enter("/proc/thread-self/ns/net", true);
  container.cookie = cookie;
  return container;
}

}  // namespace

cni::Result attach(Host& host, AttachmentRequest request) {
  if (request.addressing.kind == Addressing::kDelegate)  // before anything is made
    (void)cni::find_plugin(request.addressing.delegate, request.invocation->path);
  Container container = enter_container(request);
  // Unwound last, when the attachment's lock is free again: removing the network comes before it in the order of locks.
  UndoStack network_undo(report_undo);
  network_undo.on_failure("remove the unused network",
                          [&] { remove_network_if_unused(host, request.key.network); });
  const HeldLock lock = host.live().lock_attachment(request.key);
  refuse_duplicate(host, request, container.cookie);
  resolve_link(host, &container, request);
  UndoStack undo(report_undo);
  if (request.addressing.kind == Addressing::kDelegate) {
    undo.on_failure("release the delegate's addresses", [&] { call_delegate(request, cni::Command::kDel); });
  }
  Reservation reserved = reserve(host, request, container.cookie);
  undo.on_failure("detach", [&] { detach(host, request.key, request.driver); });
  cni::Result result = apply(host, container, request, reserved);
  undo.commit();
  network_undo.commit();
  log_info("network=" + request.key.network + " container=" + request.key.container_id +
           " if=" + request.key.ifname + " attached");
  return result;
}

void undo_attach(Host& host, const AttachmentRequest& request) {
  detach_part(host, request.key, request.driver);
  call_delegate(request, cni::Command::kDel);
}

Plan plan_attach(Host& host, AttachmentRequest request) {
  resolve_link(host, nullptr, request);
  const ipam::AttachmentRecord record = rehearse_reserve(host, request);
  return make_plan(request, record.leases, record.ports);
}

}  // namespace netctl::engine
