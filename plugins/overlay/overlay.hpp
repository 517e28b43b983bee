#pragma once
// `overlay`: containers on many hosts as if on one network, over VXLAN. On each host the network is a bridge with the
// addresses of the host's own block, and a VTEP with an entry for every other host.

#include "plugins/cni/plugin.hpp"
#include "plugins/engine/host.hpp"
#include "plugins/overlay/overlay_config.hpp"

namespace netctl::overlay {

/// The executable's verbs, for front ends that call them in their own process.
[[nodiscard]] cni::Plugin plugin();

/// ADD. `caller_holds_ports`: the runtime has bound the host's ports itself, so that a listener there is no obstacle.
/// Errors: those of engine::attach(); kTryAgainLater without a lease; kInvalidConfig, kUnsupportedField.
[[nodiscard]] cni::Result add(const cni::Invocation& invocation, bool caller_holds_ports);

/// For whoever gets the nodes from elsewhere: writes the lease file and brings this host's part of the network to it, all
/// that its containers share: bridge, gateways, rules, guard, device, entries. Made if need be, mended where something was
/// taken away by hand; sends what differs. The network then stays without containers too, until let_go(). `plugin_config` is
/// the plugin's configuration, which `membership.lease` was made of. Idempotent. Errors: those of ADD for the network; the
/// file is written all the same, and the next call tries again.
void programme(engine::Host& host, const std::string& network, const nlohmann::json& plugin_config,
               const Membership& membership);

/// Takes it down, if it has no containers, or else with its last one; no container comes any more. Idempotent.
void let_go(engine::Host& host, const std::string& network);

/// Mends what the network's containers share on this host. Where the configuration lists the nodes, the lease file as well.
/// Nothing when the network was not set up. Errors: as programme(); kTryAgainLater without a lease.
void repair(engine::Host& host, const std::string& network, const nlohmann::json& plugin_config);

}  // namespace netctl::overlay
