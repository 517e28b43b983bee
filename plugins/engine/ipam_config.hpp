#pragma once

#include "plugins/cni/config_reader.hpp"
#include "plugins/engine/request.hpp"

namespace netctl::engine {

/// The `ipam` block of a configuration with what the runtime adds for this container (ranges, addresses). `ipam` absent or
/// without `type` is Addressing::kNone; the types that this process serves itself are kPool (host-local) and kStatic, any
/// other one is kDelegate.
/// Our own keys are read from the configuration's `netctl` object: `exclude` (list of CIDRs that are never leased).
/// Errors: kInvalidConfig, with the place of the key.
[[nodiscard]] AddressingSpec read_addressing(const cni::Invocation& invocation,
                                             const cni::RuntimeConfig& runtime);

/// `routes` of an `ipam` block. Errors: kInvalidConfig, with the place.
[[nodiscard]] std::vector<cni::ResultRoute> read_routes(const cni::ConfigReader& ipam);

}  // namespace netctl::engine
