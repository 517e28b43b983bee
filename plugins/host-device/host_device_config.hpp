#pragma once

#include "plugins/engine/request.hpp"

namespace netctl::host_device {

/// The configuration of the `host-device` executable. runtimeConfig.deviceID replaces `pciBusID`. CNI_ARGS is read, and
/// nothing in it refused, as the reference has it.
/// Errors: kInvalidConfig, kUnsupportedField (published ports, a MAC address of the runtime), kInvalidEnvironment.
[[nodiscard]] engine::AttachmentRequest read_request(const cni::Invocation& invocation);

}  // namespace netctl::host_device
