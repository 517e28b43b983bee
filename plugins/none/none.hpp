#pragma once

#include "plugins/cni/plugin.hpp"

namespace netctl::none {

/// The executable's verbs, for front ends that call them in their own process.
[[nodiscard]] cni::Plugin plugin();
/// The same under the name `loopback`, whose CHECK does not mind other interfaces.
[[nodiscard]] cni::Plugin loopback_plugin();

}  // namespace netctl::none
