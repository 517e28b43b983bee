#pragma once
// Devices that change their name and their namespace.

#include <cstdint>
#include <string>

#include "netlink/socket.hpp"

namespace netctl::netlink {

/// Moves a link of the socket's namespace into the one behind `netns_fd` (borrowed), where it is called `name`. The kernel
/// sets it down and drops its addresses and routes; alias, MTU and hardware address stay, the index may change.
/// `name` may be a template ("dev%d"). Errors: EEXIST when the name is taken there: the link may have moved all the same,
/// under its old name (net/core/rtnetlink.c, do_setlink: first the namespace, then the name); EINVAL when it belongs to
/// its namespace (lo).
[[nodiscard]] Request move_link(std::uint32_t index, int netns_fd, const std::string& name);

/// The link should be down: kernels before 6.2 refuse to rename one that is up (EBUSY).
[[nodiscard]] Request rename_link(std::uint32_t index, const std::string& name);

}  // namespace netctl::netlink
