#pragma once

#include "plugins/cni/invocation.hpp"
#include "plugins/engine/parts/firewall.hpp"

namespace netctl::firewall {

/// The reference's keys. `backend`: "" (what is there), "iptables" (and "nftables", the same to us), "firewalld".
/// `iptablesAdminChainName` (CNI-ADMIN): a chain that is asked before our accept, where it exists. `firewalldZone`:
/// trusted.
/// `ingressPolicy`: open, same-bridge, isolated. Addresses and the links of the host come from prevResult.
/// Errors: kInvalidConfig.
[[nodiscard]] engine::FirewallRequest read_request(const cni::Invocation& invocation);

}  // namespace netctl::firewall
