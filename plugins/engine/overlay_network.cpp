#include "plugins/engine/overlay_network.hpp"

#include <cerrno>

#include "base/error.hpp"
#include "iptables/tunnel_guard.hpp"
#include "plugins/engine/flows.hpp"
#include "plugins/engine/log.hpp"
#include "plugins/engine/network_setup.hpp"
#include "plugins/overlay/control/vtep.hpp"

namespace netctl::engine {
namespace {

constexpr const char* kOverlay = "overlay";
constexpr const char* kStaticSource = "static";

nlohmann::json overlay_of(const ipam::NetworkRecord& record) {
  return record.extra.value(kOverlay, nlohmann::json::object());
}

bool has_overlay(const ipam::NetworkRecord& record) { return record.extra.contains(kOverlay); }

std::string state_directory() { return ipam::Store::default_directory(); }

/// nullopt as well when it is damaged: whoever needs it says so, and whoever writes it mends it.
std::optional<overlay::Membership> try_membership(const std::string& network) {
  try {
    return overlay::read_membership(state_directory(), network);
  } catch (const Error& error) {
    log_warning(error.message());
    return std::nullopt;
  }
}

void add_peers(const overlay::Membership& membership, iptables::Tunnels& tunnels) {
  tunnels.ports.insert(membership.lease.port);
  for (const overlay::Node& node : membership.nodes) {
    if (node.name != membership.lease.node) tunnels.peers.emplace(node.vtep, membership.lease.port);
  }
}

std::vector<ipam::NetworkRecord> overlay_records(Host& host) {
  std::vector<ipam::NetworkRecord> records;
  host.live().read([&](const ipam::Transaction& store) {
    for (ipam::NetworkRecord& record : store.list_networks()) {
      if (has_overlay(record) && !is_leaving(record)) records.push_back(std::move(record));
    }
  });
  return records;
}

/// Of an overlay whose lease cannot be read the peers that are there stay.
iptables::Tunnels wanted_tunnels(Host& host) {
  iptables::Tunnels tunnels;
  for (const ipam::NetworkRecord& record : overlay_records(host)) {
    if (const auto membership = try_membership(record.name)) {
      add_peers(*membership, tunnels);
      continue;
    }
    const std::uint16_t port = overlay_of(record).value("port", std::uint16_t{0});
    const iptables::Tunnels present = iptables::list_tunnels(host.netfilter());
    if (port != 0) tunnels.ports.insert(port);
    for (const auto& peer : present.peers) {
      if (peer.second == port) tunnels.peers.insert(peer);
    }
  }
  return tunnels;
}

/// Routes and neighbours of one would be taken from the other.
void refuse_overlap(Host& host, const overlay::Lease& lease) {
  for (const ipam::NetworkRecord& other : overlay_records(host)) {
    const auto membership = other.name == lease.network ? std::nullopt : try_membership(other.name);
    if (!membership) continue;
    for (const IpPrefix& subnet : lease.subnets) {
      for (const IpPrefix& taken : membership->lease.subnets) {
        if (!subnet.overlaps(taken)) continue;
        throw Error(ErrorCode::kSubnetUnavailable,
                    "the overlay's subnet " + subnet.to_string() + " overlaps " + taken.to_string() +
                        " of the overlay " + other.name + " of this host; choose another one on all nodes");
      }
    }
  }
}

void guard_under_lock(Host& host) {
  const HeldLock table = host.live().lock_table(LockMode::kExclusive);
  guard_tunnels(host);
}

overlay::Membership must_read(const std::string& network) {
  auto membership = overlay::read_membership(state_directory(), network);
  if (membership) return std::move(*membership);
  throw Error(ErrorCode::kTryAgainLater, "the network " + network +
                                             " has no lease on this host; start netctl-agent, or ADD "
                                             "a container where the configuration lists the nodes");
}

void put_back(Host& host, const std::string& network, const std::optional<overlay::Membership>& before) {
  try {
    if (before) {
      overlay::write_lease(state_directory(), before->lease, before->nodes);
    } else {
      overlay::remove_lease(state_directory(), network);
    }
    guard_under_lock(host);
  } catch (const Error& error) {
    log_warning("while taking back a failed set-up of network " + network + ": " + error.message());
  }
}

}  // namespace

bool is_held(const ipam::NetworkRecord& record) { return overlay_of(record).value("held", false); }

void mark_released(ipam::NetworkRecord& record) { record.extra[kOverlay]["held"] = false; }

std::string recorded_membership(const ipam::NetworkRecord& record) {
  return overlay_of(record).value("digest", std::string());
}

void note_overlay(ipam::NetworkRecord& record, const OverlaySpec& overlay) {
  const bool held = overlay.held || is_held(record);
  record.extra[kOverlay] = {{"device", overlay::vtep_ifname(record.name)},
                            {"port", overlay.lease.port},
                            {"source", overlay.lease.source},
                            {"held", held}};
}

std::optional<OverlaySpec> recorded_overlay(const ipam::NetworkRecord& record) {
  if (!has_overlay(record)) return std::nullopt;
  const auto membership = try_membership(record.name);
  if (!membership) return std::nullopt;
  return OverlaySpec{membership->lease, membership->digest, std::nullopt, is_held(record)};
}

void set_up_overlay(Host& host, const NetworkPlan& plan, ipam::NetworkRecord& record) {
  const std::optional<overlay::Membership>& fresh = plan.overlay->fresh;
  refuse_overlap(host, plan.overlay->lease);
  const auto before = fresh ? try_membership(plan.name) : std::nullopt;
  try {
    if (fresh) overlay::write_lease(state_directory(), fresh->lease, fresh->nodes);
    const overlay::Membership membership = must_read(plan.name);
    guard_under_lock(host);
    overlay::ensure_vtep(host.route(), membership, recorded_bridge_index(record));
    record.extra[kOverlay]["digest"] = membership.digest;
  } catch (const Error&) {
    if (fresh) put_back(host, plan.name, before);
    throw;
  }
}

void tear_down_overlay(Host& host, const ipam::NetworkRecord& record) {
  if (!has_overlay(record)) return;
  const auto membership = try_membership(record.name);
  overlay::remove_vtep(host.route(), record.name);
  // What the host itself sent to containers of other nodes.
  for (const IpPrefix& own :
       membership ? overlay::vtep_addresses(membership->lease) : std::vector<IpPrefix>{}) {
    forget_flows_of(host, own.address);
  }
  if (overlay_of(record).value("source", "") == kStaticSource) {
    overlay::remove_lease(state_directory(), record.name);
  }
}

void guard_tunnels(Host& host) { iptables::synchronise_tunnels(host.netfilter(), wanted_tunnels(host)); }

void guard_tunnels_if_any(Host& host) {
  try {
    guard_under_lock(host);
  } catch (const Error& error) {
    if (error.sys_errno() != ENOENT) throw;  // no table: nothing is let in or kept out by it
  }
}

std::vector<std::string> find_overlay_drift(Host& host, const ipam::NetworkRecord& record) {
  if (!has_overlay(record)) return {};
  std::optional<overlay::Membership> membership;
  try {
    membership = overlay::read_membership(state_directory(), record.name);
  } catch (const Error& error) {
    return {error.message()};
  }
  if (!membership) {
    return {"the lease file " + overlay::lease_path(state_directory(), record.name) + " is gone"};
  }
  const std::uint32_t bridge = host.route().find_link_index(record.bridge).value_or(0);
  std::vector<std::string> lines = overlay::find_vtep_drift(
      host.route(), *membership, membership->lease.mode == overlay::Mode::kL2 ? bridge : 0);
  for (std::string& line : iptables::find_tunnel_drift(host.netfilter(), wanted_tunnels(host))) {
    lines.push_back(std::move(line));
  }
  return lines;
}

void add_paired_leases(const AttachmentRequest& request, std::vector<ipam::LeaseRecord>& leases) {
  if (!request.network.overlay || leases.size() != 1) return;
  const overlay::Lease& lease = request.network.overlay->lease;
  if (lease.mode != overlay::Mode::kL2) return;
  const auto paired = overlay::paired_address(lease.blocks, leases.front().address.address);
  if (!paired) return;
  for (const IpPrefix& subnet : lease.subnets) {
    if (!subnet.contains(paired->address)) continue;
    leases.push_back({{paired->address, subnet.length}, paired->gateway, {}});
  }
}

}  // namespace netctl::engine
