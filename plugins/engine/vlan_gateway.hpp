#pragma once
// The gateway of a network in a VLAN: an interface "<bridge>.<vlan>" of the host, connected to a port of the bridge that
// is in that VLAN alone. Everything here runs under the network lock, held exclusive.

#include "netlink/link.hpp"
#include "plugins/engine/host.hpp"
#include "plugins/engine/plan.hpp"

namespace netctl::engine {

/// Errors: kUnsupportedField when VLANs are wanted and this kernel's bridges cannot filter them. Changes nothing.
void require_vlan_filtering(Host& host, const VlanSpec& vlan);

/// Switches the filter on at a bridge of ours. Errors: kInvalidConfig when somebody else's has it switched off.
void ensure_vlan_filtering(Host& host, const netlink::Link& bridge, bool is_ours);

/// Makes or mends the gateway's interface and its port. Errors: kInvalidConfig when something else has the name.
[[nodiscard]] netlink::Link ensure_vlan_gateway(Host& host, const NetworkPlan& plan,
                                                const netlink::Link& bridge);

/// Deletes the pair, if it is the one that this network made. Idempotent.
void remove_vlan_gateway(Host& host, const std::string& gateway_link);

}  // namespace netctl::engine
