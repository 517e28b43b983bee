#pragma once

#include "plugins/cni/plugin.hpp"

namespace netctl::host {

/// The executable's verbs, for front ends that call them in their own process.
[[nodiscard]] cni::Plugin plugin();

}  // namespace netctl::host
