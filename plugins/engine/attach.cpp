#include "plugins/engine/attach.hpp"

#include <sys/stat.h>
#include <sys/vfs.h>
#include <linux/magic.h>

#include <cerrno>

#include "base/error.hpp"
#include "base/undo_stack.hpp"
#include "netlink/address.hpp"
#include "netlink/link.hpp"
#include "netlink/neighbour.hpp"
#include "netlink/sysctl.hpp"
#include "plugins/cni/version.hpp"
#include "plugins/engine/addressing.hpp"
#include "plugins/engine/detach.hpp"
#include "plugins/engine/flows.hpp"
#include "plugins/engine/identity.hpp"
#include "plugins/engine/liveness.hpp"
#include "plugins/engine/log.hpp"
#include "plugins/engine/network.hpp"
#include "plugins/engine/ports.hpp"
#include "plugins/engine/reserve.hpp"

namespace netctl::engine {
namespace {

constexpr std::uint32_t kLoopbackIndex = 1;  // LOOPBACK_IFINDEX (include/net/flow.h)

void throw_if_taken(Container& container, const LinkPlan& link) {
  if (netlink::find_link(container.route, link.container_ifname)) {
    throw Error(ErrorCode::kInterfaceTaken,
                "the container has an interface named " + link.container_ifname +
                    " already; choose another CNI_IFNAME, or detach that one first");
  }
}

/// The name is a hash of the identity: whoever holds it is what a crash of the same attachment left.
void delete_leftover(Host& host, const Plan& plan) {
  const auto leftover = netlink::find_link(host.route(), plan.link->host_ifname);
  if (leftover && leftover->kind == "veth") host.route().transact(netlink::delete_link(leftover->index));
}

void create_pair(Host& host, Container& container, const Plan& plan, std::uint32_t bridge_index) {
  netlink::VethSpec spec;
  spec.host_name = plan.link->host_ifname;
  spec.host_mac = plan.link->host_mac;
  spec.master_index = bridge_index;
  spec.mtu_bytes = plan.link->mtu_bytes;
  spec.container_name = plan.link->container_ifname;
  spec.container_mac = plan.link->container_mac;
  spec.container_netns_fd = container.netns.fd();
  const netlink::Request request = netlink::create_veth(spec);
  try {
    host.route().transact(request);
  } catch (const Error& error) {
    if (error.sys_errno() != EEXIST) throw;
    if (!plan.link->handed_over) throw_if_taken(container, *plan.link);
    delete_leftover(host, plan);
    host.route().transact(request);
  }
}

std::uint32_t must_find(const netlink::Socket& socket, const std::string& ifname) {
  if (const auto index = socket.find_link_index(ifname)) return *index;
  throw Error(ErrorCode::kTryAgainLater,
              "interface " + ifname + " vanished as it was being set up; try again");
}

void configure_host_end(Host& host, const Plan& plan) {
  const std::uint32_t index = must_find(host.route(), plan.link->host_ifname);
  netlink::BridgePortSpec port;
  port.index = index;
  port.alias = plan.link->alias;
  port.hairpin = plan.link->hairpin;
  port.isolated = plan.link->isolated;
  port.locked = plan.link->locked;
  std::vector<netlink::Request> requests{netlink::set_bridge_port(port)};
  if (port.locked) requests.push_back(netlink::add_bridge_fdb(index, plan.link->container_mac));
  host.route().transact_all(requests);
  netlink::write_sysctls(plan.host_sysctls);
}

void configure_container_end(Container& container, const Plan& plan) {
  const std::uint32_t index = must_find(container.route, plan.link->container_ifname);
  std::vector<netlink::Request> requests{netlink::set_up(kLoopbackIndex)};
  const auto detection =
      plan.detect_duplicates ? netlink::DuplicateDetection::kOn : netlink::DuplicateDetection::kOff;
  for (const IpPrefix& address : plan.addresses) {
    requests.push_back(netlink::add_address(index, address, detection));
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
  constexpr int kContainerInterface = 2;
  cni::Result result;
  cni::Interface bridge;
  bridge.name = plan.network.bridge;
  bridge.mac = network.bridge_mac;
  cni::Interface host_end;
  host_end.name = plan.link->host_ifname;
  host_end.mac = plan.link->host_mac.to_string();
  cni::Interface container_end;
  container_end.name = request.key.ifname;  // also when the runtime gives it that name, later
  container_end.mac = plan.link->container_mac.to_string();
  container_end.sandbox = request.netns_path;
  if (plan.link->mtu_bytes != 0) container_end.mtu_bytes = plan.link->mtu_bytes;
  result.interfaces = {bridge, host_end, container_end};
  for (const ipam::LeaseRecord& lease : record.leases) {
    result.ips.push_back({lease.address, lease.gateway, kContainerInterface});
  }
  result.routes = plan.routes;
  result.dns = plan.dns;
  result.netctl = chosen_ports(request.endpoint.ports, record.ports);
  return result;
}

void remember(const Plan& plan, const AttachmentRequest& request, ipam::AttachmentRecord& record) {
  record.parts[request.driver] = ipam::State::kReady;
  record.host_mac = plan.link->host_mac.to_string();
  record.container_mac = plan.link->container_mac.to_string();
  if (plan.link->handed_over) record.extra[kHandedOver] = true;
  record.extra["port"] = {
      {"hairpin", plan.link->hairpin}, {"isolated", plan.link->isolated}, {"locked", plan.link->locked}};
}

cni::Result apply(Host& host, Container& container, const AttachmentRequest& request, Reservation& reserved) {
  ipam::AttachmentRecord& record = reserved.record;
  const Plan plan = make_plan(request, record.leases, record.ports);
  const SharedNetwork network = ensure_network(host, plan.network, reserved.network);
  create_pair(host, container, plan, network.bridge_index);
  configure_host_end(host, plan);
  put_policy(host, plan.network.policy, plan.ports);
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
  Container container = enter_container(request);
  // Unwound last, when the attachment's lock is free again: removing the network comes before it in the order of locks.
  UndoStack network_undo(report_undo);
  network_undo.on_failure("remove the unused network",
                          [&] { remove_network_if_unused(host, request.key.network); });
  const HeldLock lock = host.live().lock_attachment(request.key);
  refuse_duplicate(host, request, container.cookie);
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
  const ipam::AttachmentRecord record = rehearse_reserve(host, request);
  return make_plan(request, record.leases, record.ports);
}

}  // namespace netctl::engine
