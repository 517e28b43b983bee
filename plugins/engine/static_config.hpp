#pragma once

#include "plugins/engine/request.hpp"

namespace netctl::engine {

/// The `ipam` block of type `static`: addresses and gateways as they are written down, for this process to assign and for
/// the stand-alone executable to print. runtimeConfig.ips replaces args.cni.ips, which replaces the block's own `addresses`
/// with those of CNI_ARGS (IP and GATEWAY) behind them.
/// Errors: kInvalidConfig with the place of the key; kInvalidEnvironment (CNI_ARGS).
[[nodiscard]] AddressingSpec read_static_addressing(const cni::Invocation& invocation);

}  // namespace netctl::engine
