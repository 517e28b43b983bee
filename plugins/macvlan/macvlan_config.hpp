#pragma once

#include "plugins/engine/request.hpp"

namespace netctl::macvlan {

/// The configuration of the `macvlan` executable. MAC address: `mac` < CNI_ARGS < args.cni < runtimeConfig.
/// Errors: kInvalidConfig, kUnsupportedField (published ports; an address in passthru mode), kInvalidEnvironment.
[[nodiscard]] engine::AttachmentRequest read_request(const cni::Invocation& invocation);

}  // namespace netctl::macvlan
