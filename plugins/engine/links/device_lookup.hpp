#pragma once

#include <optional>

#include "netlink/link.hpp"
#include "plugins/engine/host.hpp"
#include "plugins/engine/request.hpp"

namespace netctl::engine::links {

/// The device that the selectors name, in the host's namespace. nullopt when a userspace driver has it
/// (spec.userspace_driver is then set). Errors: kInvalidConfig naming the key.
[[nodiscard]] std::optional<netlink::Link> find_device(Host& host, HostDevice& spec);

}  // namespace netctl::engine::links
