#pragma once

#include "plugins/engine/request.hpp"

namespace netctl::bridge {

/// The configuration of the `bridge` executable: the reference's keys with the reference's defaults, and ours under
/// "netctl". A key that cannot be honoured is refused (kUnsupportedField), never ignored; unknown keys outside "netctl" are
/// other plugins' and ignored.
/// Errors: kInvalidConfig, kUnsupportedField, kInvalidEnvironment (CNI_ARGS).
[[nodiscard]] engine::AttachmentRequest read_request(const cni::Invocation& invocation);

}  // namespace netctl::bridge
