#pragma once

#include "plugins/cni/plugin.hpp"

namespace netctl::container_share {

/// The executable's verbs, for front ends that call them in their own process.
[[nodiscard]] cni::Plugin plugin();

}  // namespace netctl::container_share
