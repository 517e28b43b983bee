#pragma once
// Links of kind macvlan: an interface with a hardware address of its own on top of another device.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/mac_address.hpp"
#include "netlink/socket.hpp"

namespace netctl::netlink {

/// The values are the kernel's (linux/if_link.h, enum macvlan_mode).
enum class MacvlanMode : std::uint32_t { kPrivate = 1, kVepa = 2, kBridge = 4, kPassthru = 8 };

[[nodiscard]] std::string to_string(MacvlanMode mode);
/// "private", "vepa", "bridge", "passthru". nullopt for anything else.
[[nodiscard]] std::optional<MacvlanMode> parse_macvlan_mode(std::string_view text);

struct MacvlanSpec {
  std::string name;
  std::optional<MacAddress> mac;   ///< nullopt: of the kernel's choice; in passthru mode always the master's
  std::uint32_t master_index = 0;  ///< in the namespace of the socket that sends the request
  MacvlanMode mode = MacvlanMode::kBridge;
  std::uint32_t mtu_bytes = 0;                          ///< 0 = the master's
  std::optional<std::uint32_t> broadcast_queue_length;  ///< packets; nullopt = the kernel's default
  int netns_fd = -1;  ///< borrowed: where the link is made; -1 = in the socket's own namespace
};

/// The link is made inside the namespace under its final name, and stays down. NLM_F_EXCL: EEXIST when the name is taken.
/// EBUSY: the master is a bridge port, or in passthru mode not free.
[[nodiscard]] Request create_macvlan(const MacvlanSpec& spec);

/// What RTM_GETLINK says of a macvlan.
struct Macvlan {
  std::uint32_t index = 0;
  std::uint32_t master_index = 0;  ///< in the master's namespace
  MacvlanMode mode = MacvlanMode::kBridge;
};
/// nullopt when there is no link of that name, or it is of another kind. Errors: kKernel.
[[nodiscard]] std::optional<Macvlan> find_macvlan(Socket& socket, const std::string& name);

}  // namespace netctl::netlink
