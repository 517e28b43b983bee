#pragma once

#include "plugins/cni/invocation.hpp"
#include "plugins/engine/host.hpp"

namespace netctl::none {

/// Opens the namespace at CNI_NETNS. The plugin's own is refused, unless another plugin gave this container the host's (the
/// store knows). While `host` or `container-share`, which a runtime may run at the same time, exchange the mount there,
/// the path is an ordinary file for a moment: that is waited out. Errors: kInvalidNetns.
[[nodiscard]] engine::Container enter(const cni::Invocation& invocation);

}  // namespace netctl::none
