#pragma once
// The configuration of the `overlay` executable as a request to the engine.

#include "plugins/engine/request.hpp"
#include "plugins/overlay/overlay_config.hpp"

namespace netctl::overlay {

/// Everything but what the lease tells. `invocation` may be without a container (for --plan, STATUS, GC). Errors:
/// kInvalidConfig, kUnsupportedField, kInvalidEnvironment.
[[nodiscard]] engine::AttachmentRequest read_request(const cni::Invocation& invocation,
                                                     const OverlayConfig& overlay);

/// Addresses, gateway, MTU, routes and exclusions that follow from the lease.
void apply_lease(const engine::OverlaySpec& overlay, engine::AttachmentRequest& request);

}  // namespace netctl::overlay
