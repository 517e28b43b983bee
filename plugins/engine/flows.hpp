#pragma once
// Connection tracking entries that would outlive what made them: exact deletes, nobody else's flows.

#include <vector>

#include "iptables/policy.hpp"
#include "plugins/engine/host.hpp"

namespace netctl::engine {

/// Flows to the ports from before they were published would keep their old way for as long as their client goes on.
void forget_flows_before(Host& host, const std::vector<iptables::PublishedPort>& ports);

/// All flows from and to a container's address, translated or not.
void forget_flows_of(Host& host, const IpAddress& container);

}  // namespace netctl::engine
