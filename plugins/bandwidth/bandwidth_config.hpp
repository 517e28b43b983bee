#pragma once

#include "plugins/cni/invocation.hpp"
#include "plugins/engine/parts/bandwidth.hpp"

namespace netctl::bandwidth {

/// The reference's keys, in any case of letters: ingressRate, ingressBurst, egressRate, egressBurst (bits), shapedSubnets,
/// unshapedSubnets. Those of the configuration count; only when it has none of them runtimeConfig.bandwidth does.
/// Errors: kInvalidConfig (wrong type; rate without burst or the other way round; less than a byte; both kinds of subnets).
[[nodiscard]] engine::BandwidthRequest read_request(const cni::Invocation& invocation);

}  // namespace netctl::bandwidth
