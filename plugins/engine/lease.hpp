#pragma once

#include "plugins/engine/host.hpp"
#include "plugins/engine/request.hpp"

namespace netctl::engine {

/// ADD of a stand-alone IPAM executable: addresses from the pool for an interface that somebody else makes.
/// Errors: those of reserve().
[[nodiscard]] cni::Result lease(Host& host, AttachmentRequest request);

}  // namespace netctl::engine
