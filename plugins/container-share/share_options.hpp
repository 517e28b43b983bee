#pragma once

#include "plugins/engine/publish.hpp"
#include "plugins/engine/share.hpp"

namespace netctl::container_share {

/// Whose namespace: runtimeConfig.share, else the annotation io.netctl.share of the pod (capability
/// io.kubernetes.cri.pod-annotations), else args.cni.share, else SHARE= of CNI_ARGS, else netctl.share of the configuration.
/// Errors: kInvalidConfig, kInvalidEnvironment, kUnsupportedField.
[[nodiscard]] engine::ShareRequest read_request(const cni::Invocation& invocation);

/// The sharer's ports on the address that `shared` has under CNI_IFNAME, or first. Errors: kInvalidConfig.
[[nodiscard]] engine::PublishRequest read_ports(const cni::Invocation& invocation, const cni::Result& shared);

}  // namespace netctl::container_share
