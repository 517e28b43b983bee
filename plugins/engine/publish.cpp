#include "plugins/engine/publish.hpp"

#include <utility>

#include "base/error.hpp"
#include "base/undo_stack.hpp"
#include "netlink/link.hpp"
#include "netlink/route.hpp"
#include "netlink/sysctl.hpp"
#include "plugins/engine/detach.hpp"
#include "plugins/engine/flows.hpp"
#include "plugins/engine/identity.hpp"
#include "plugins/engine/link_kinds.hpp"
#include "plugins/engine/liveness.hpp"
#include "plugins/engine/log.hpp"
#include "plugins/engine/network.hpp"
#include "plugins/engine/network_setup.hpp"
#include "plugins/engine/part.hpp"
#include "plugins/engine/ports.hpp"
#include "plugins/engine/reserve.hpp"
#include "plugins/engine/share.hpp"
#include "plugins/engine/sharing.hpp"

namespace netctl::engine {
namespace {

/// The host's interface towards a container that another plugin attached: where the routing table points.
std::string link_towards(Host& host, const PublishRequest& request) {
  const auto index = netlink::find_outgoing_link(host.route(), request.targets.front());
  const auto link = index ? netlink::find_link(host.route(), *index) : std::nullopt;
  if (link) return link->name;
  throw Error(ErrorCode::kInvalidConfig,
              "the host has no route to " + request.targets.front().to_string() +
                  "; portmap can only publish ports of containers that the host reaches");
}

NetworkPlan network_plan(const Reservation& reserved, const PublishRequest& request) {
  const ipam::AttachmentRecord& record = reserved.record;
  NetworkPlan plan;
  plan.name = request.key.network;
  plan.driver = kPublishPart;
  plan.bridge = record.bridge;
  if (!plan.bridge.empty()) plan.bridge_mac = bridge_mac(plan.bridge);
  plan.policy.network = request.key.network;
  const std::string gateway = reserved.network ? recorded_gateway_link(*reserved.network) : std::string();
  plan.policy.link = gateway.empty() ? record.bridge : gateway;
  plan.policy.publishes = true;
  const bool on_localhost = !reserved.network || recorded_localhost_publish(*reserved.network);
  if (on_localhost && request.masquerade_local && request.targets.front().is_v4()) {
    const std::string link = record.bridge.empty() ? policy_link(record) : plan.policy.link;
    plan.host_sysctls.emplace_back("ipv4/conf/" + link + "/route_localnet", "1");
  }
  return plan;
}

/// A sharer publishes on its owner's address, for as long as that one has it.
void require_owner(const ipam::Transaction& store, const ipam::AttachmentRecord& sharer) {
  const std::optional<SharedNetns> shared = shared_netns(sharer);
  if (!shared) return;
  for (const ipam::AttachmentKey& key : shared->owners) {
    const auto owner = store.find_attachment(key);
    if (owner && owner->netns_cookie == sharer.netns_cookie && !is_unfinished(*owner)) continue;
    throw Error(ErrorCode::kInvalidNetns, describe(key, shared->owner_name) +
                                              ", whose address the ports would lead to, is being detached; "
                                              "start it again first");
  }
}

void require_address(const PublishRequest& request) {
  if (!request.targets.empty()) return;
  throw Error(ErrorCode::kInvalidConfig, "prevResult holds no address of interface " + request.key.ifname +
                                             "; chain portmap behind a plugin that gives the container an "
                                             "address");
}

/// As Docker does it: a container in the host's namespace listens on the host's own ports.
bool discards_ports(const Host& host, const ipam::AttachmentRecord& record) {
  return share_part(record) != nullptr && record.netns_cookie == host.netns_cookie();
}

void discard_ports(const PublishRequest& request, ipam::AttachmentRecord& record) {
  std::vector<std::string> discarded;
  for (const cni::PortMapping& port : request.ports) discarded.push_back(describe(port));
  note_discarded_ports(record, discarded);
  record.parts[kPublishPart] = ipam::State::kReady;
}

/// The part is ready when there is nothing to publish.
Reservation try_reserve(Host& host, const PublishRequest& request) {
  Reservation reserved;
  ipam::AttachmentRecord& record = reserved.record;
  host.live().write([&](ipam::Transaction& store) {
    record = record_to_join(store, {request.key, kPublishPart, request.netns_path, request.container_name});
    if (discards_ports(host, record)) {
      discard_ports(request, record);
      store.put_attachment(record);
      return;
    }
    require_address(request);
    require_owner(store, record);
    record.parts[kPublishPart] = ipam::State::kAdding;
    if (record.bridge.empty() && policy_link(record).empty())
      set_policy_link(record, link_towards(host, request));
    claim_ports(store, record,
                port_records(request.ports, request.targets, kPublishPart, request.masquerade_local),
                !request.caller_holds_ports);
    store.put_attachment(record);
    reserved.network = store.find_network(request.key.network);
  });
  return reserved;
}

Reservation reserve_ports(Host& host, const PublishRequest& request) {
  constexpr int kAttempts = 64;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    try {
      return try_reserve(host, request);
    } catch (const PortHeld& held) {
      if (!reclaim_if_dead(host, held.holder())) throw;
    }
  }
  throw Error(ErrorCode::kTryAgainLater,
              "the ports could not be claimed while others come and go; try again");
}

}  // namespace

ipam::AttachmentRecord publish(Host& host, const PublishRequest& request) {
  const auto report = [](const std::string& step, const std::string& reason) {
    log_warning("while taking back a failed ADD: could not " + step + ": " + reason + "; `netctl gc` will");
  };
  UndoStack network_undo(report);
  network_undo.on_failure("remove the unused network",
                          [&] { remove_network_if_unused(host, request.key.network); });
  const HeldLock lock = host.live().lock_attachment(request.key);
  clear_other_container(host, {request.key, kPublishPart, request.netns_path, request.container_name});
  Reservation reserved = reserve_ports(host, request);
  ipam::AttachmentRecord& record = reserved.record;
  if (record.parts[kPublishPart] == ipam::State::kReady) {
    network_undo.commit();
    return record;
  }
  UndoStack undo(report);
  undo.on_failure("withdraw the ports", [&] { detach(host, request.key, kPublishPart); });
  NetworkPlan plan = network_plan(reserved, request);
  if (!record.host_ifname.empty() && policy_link(record) == record.host_ifname) {
    // It ends with the link: nothing that the network would have to put back.
    netlink::write_sysctls(std::exchange(plan.host_sysctls, {}));
  }
  ensure_network(host, plan, reserved.network);
  const std::vector<iptables::PublishedPort> ports = published_ports(request.key, record.ports);
  put_policy(host, policy_at_link(plan.policy, record), ports);
  forget_flows_before(host, ports);
  record.parts[kPublishPart] = ipam::State::kReady;
  host.live().write([&record](ipam::Transaction& store) { store.put_attachment(record); });
  undo.commit();
  network_undo.commit();
  log_info("network=" + request.key.network + " container=" + request.key.container_id + " ports published");
  return record;
}

}  // namespace netctl::engine
