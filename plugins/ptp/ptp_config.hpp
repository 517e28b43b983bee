#pragma once

#include "plugins/engine/request.hpp"

namespace netctl::ptp {

/// The configuration of the `ptp` executable: the reference's keys, and ours under "netctl". CNI_ARGS is read, and nothing
/// in it refused, as the reference has it.
/// Errors: kInvalidConfig, kUnsupportedField, kInvalidEnvironment.
[[nodiscard]] engine::AttachmentRequest read_request(const cni::Invocation& invocation);

}  // namespace netctl::ptp
