#include "plugins/overlay/overlay.hpp"

#include "base/error.hpp"
#include "ipam/store.hpp"
#include "plugins/engine/attach.hpp"
#include "plugins/engine/check.hpp"
#include "plugins/engine/detach.hpp"
#include "plugins/engine/network.hpp"
#include "plugins/engine/network_setup.hpp"
#include "plugins/engine/plan.hpp"
#include "plugins/engine/verbs.hpp"
#include "plugins/overlay/request.hpp"

namespace netctl::overlay {
namespace {

constexpr const char* kPart = "overlay";

std::string state_directory() { return ipam::Store::default_directory(); }

engine::OverlaySpec spec_of(const Membership& membership) {
  return {membership.lease, membership.digest, {}, false};
}

/// The file says what was made of the configuration before: that is used as long as both agree.
engine::OverlaySpec static_spec(netlink::Socket& socket, const OverlayConfig& config) {
  std::optional<LeaseHead> head;
  try {
    head = read_lease_head(state_directory(), config.network);
  } catch (const Error&) {
    head.reset();  // damaged: written anew
  }
  if (head && head->lease.configuration == config.digest()) return {head->lease, head->digest, {}, false};
  Membership membership = static_membership(socket, config);
  engine::OverlaySpec spec = spec_of(membership);
  spec.fresh = std::move(membership);
  return spec;
}

[[noreturn]] void throw_no_lease(const OverlayConfig& config) {
  throw Error(ErrorCode::kTryAgainLater, "network " + config.network +
                                             " has no lease on this host yet: no block of "
                                             "addresses is this node's; start netctl-agent, or wait for it");
}

/// The lease that this host has now. Nobody else is asked. Errors: kTryAgainLater.
engine::OverlaySpec agents_spec(const OverlayConfig& config) {
  const auto head = read_lease_head(state_directory(), config.network);
  if (!head) throw_no_lease(config);
  if (head->lease.configuration != config.digest()) {
    throw Error(
        ErrorCode::kTryAgainLater,
        "the lease of network " + config.network +
            " was made of another configuration than this one; let netctl-agent read it (restart it)");
  }
  if (const auto why = refusal(head->lease, read_boot_id(), engine::boot_nanoseconds())) {
    throw Error(ErrorCode::kTryAgainLater, *why);
  }
  return {head->lease, head->digest, {}, false};
}

engine::OverlaySpec find_spec(netlink::Socket& socket, const OverlayConfig& config) {
  if (config.source == Source::kEvpn) {
    throw Error(ErrorCode::kUnsupportedField,
                "the source evpn is not done by this version; use static, dir or etcd", "source");
  }
  return config.source == Source::kStatic ? static_spec(socket, config) : agents_spec(config);
}

engine::AttachmentRequest request_of(netlink::Socket& socket, const cni::Invocation& invocation) {
  const OverlayConfig config = read_overlay_config(invocation.config, invocation.network);
  engine::AttachmentRequest request = read_request(invocation, config);
  apply_lease(find_spec(socket, config), request);
  return request;
}

/// Needs neither configuration nor lease.
void del(const cni::Invocation& invocation) {
  engine::Host host = engine::Host::open();
  engine::detach_part(host, {invocation.network, invocation.container_id, invocation.ifname}, kPart);
}

void check(const cni::Invocation& invocation) {
  const OverlayConfig config = read_overlay_config(invocation.config, invocation.network);
  (void)read_request(invocation, config);
  engine::Host host = engine::Host::open();
  engine::check(host, {invocation.network, invocation.container_id, invocation.ifname}, kPart,
                invocation.prev_result);
}

void status(const cni::Invocation& invocation) {
  netlink::Socket route = netlink::Socket::open(netlink::Bus::kRoute);
  try {
    engine::status(request_of(route, invocation));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kTryAgainLater) throw;
    throw Error(ErrorCode::kNotAvailable, error.message(), error.details());
  }
}

nlohmann::json plan(const cni::Invocation& invocation) {
  engine::Host host = engine::Host::open();
  return engine::to_json(engine::plan_attach(host, request_of(host.route(), invocation)));
}

cni::Invocation invocation_of(const std::string& network, const nlohmann::json& plugin_config) {
  cni::Invocation invocation;
  invocation.network = network;
  invocation.config = plugin_config;
  return invocation;
}

/// What the network shares does not depend on a container's address, but on the blocks alone.
engine::NetworkPlan network_plan(const engine::OverlaySpec& spec, const std::string& network,
                                 const nlohmann::json& plugin_config) {
  const cni::Invocation invocation = invocation_of(network, plugin_config);
  engine::AttachmentRequest request = read_request(invocation, read_overlay_config(plugin_config, network));
  apply_lease(spec, request);
  std::vector<ipam::LeaseRecord> gateways;
  for (const auto& set : request.addressing.sets) {
    for (const ipam::RangeSpec& range : set) {
      gateways.push_back({{*range.range_start, range.subnet.length}, range.gateway, {}});
    }
  }
  return engine::make_plan(request, gateways, {}).network;
}

}  // namespace

cni::Result add(const cni::Invocation& invocation, bool caller_holds_ports) {
  const OverlayConfig config = read_overlay_config(invocation.config, invocation.network);
  engine::AttachmentRequest request = read_request(invocation, config);
  request.endpoint.caller_holds_ports = caller_holds_ports;
  engine::Host host = engine::Host::open();
  apply_lease(find_spec(host.route(), config), request);
  return engine::attach(host, std::move(request));
}

void programme(engine::Host& host, const std::string& network, const nlohmann::json& plugin_config,
               const Membership& membership) {
  write_lease(state_directory(), membership.lease, membership.nodes);
  engine::OverlaySpec spec = spec_of(membership);
  spec.held = true;
  engine::hold_network(host, network_plan(spec, network, plugin_config));
}

void let_go(engine::Host& host, const std::string& network) {
  engine::release_network(host, network);
  bool has_attachments = false;
  host.live().read([&](const ipam::Transaction& store) { has_attachments = store.has_attachments(network); });
  std::optional<Membership> left;
  if (has_attachments) left = read_membership(state_directory(), network);
  if (!left) {
    remove_lease(state_directory(), network);
    return;
  }
  // Those that run keep their peers; none is added.
  left->lease.fenced = "this node is leaving the overlay";
  write_lease(state_directory(), left->lease, left->nodes);
}

void repair(engine::Host& host, const std::string& network, const nlohmann::json& plugin_config) {
  std::optional<ipam::NetworkRecord> record;
  host.live().read([&](const ipam::Transaction& store) { record = store.find_network(network); });
  if (!record) return;
  const OverlayConfig config = read_overlay_config(plugin_config, network);
  if (config.source == Source::kStatic) {
    const Membership membership = static_membership(host.route(), config);
    write_lease(state_directory(), membership.lease, membership.nodes);
  }
  engine::repair_network(host, network);
}

cni::Plugin plugin() {
  return {.name = kPart,
          .about = "connects containers of many hosts over VXLAN, with addresses of the host's own block",
          .add = [](const cni::Invocation& invocation) { return add(invocation, false); },
          .del = del,
          .check = check,
          .gc = engine::gc,
          .status = status,
          .undo_add = del,
          .plan = plan};
}

}  // namespace netctl::overlay
