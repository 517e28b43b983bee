#pragma once

#include <string>

#include "netlink/socket.hpp"
#include "plugins/cni/result.hpp"

namespace netctl::engine {

/// What a container finds in a namespace that was there before it: the links that have an address of global scope, the one
/// of the default route first; their addresses; the main table's routes that lead through a gateway. `socket` is inside,
/// `sandbox` is CNI_NETNS. loopback is left out: every namespace has it.
[[nodiscard]] cni::Result describe_netns(netlink::Socket& socket, const std::string& sandbox);

}  // namespace netctl::engine
