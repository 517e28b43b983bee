#pragma once
// Links: veth pairs, bridges, bridge ports. Functions that build a Request are pure; the socket that sends it decides in
// which namespace it acts.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/mac_address.hpp"
#include "netlink/socket.hpp"

namespace netctl::netlink {

/// What RTM_GETLINK says of a link, as far as the product needs it.
struct Link {
  std::uint32_t index = 0;
  std::string name;
  std::string kind;  ///< "veth", "bridge", ...; empty for a device without rtnl link ops
  std::string alias;
  std::optional<MacAddress> mac;
  std::uint32_t mtu_bytes = 0;
  std::uint32_t master_index = 0;  ///< 0: none
  std::uint32_t peer_index = 0;    ///< IFLA_LINK: of a veth, the peer's index in its own namespace
  std::uint32_t group = 0;
  bool up = false;
  bool promiscuous = false;           ///< as it was asked for (IFF_PROMISC), not by what listens
  bool all_multicast = false;         ///< as it was asked for (IFF_ALLMULTI)
  std::uint32_t tx_queue_length = 0;  ///< packets
  std::optional<bool> hairpin;        ///< of a bridge port
  std::optional<bool> isolated;       ///< of a bridge port
  std::optional<bool> locked;         ///< of a bridge port: frames from unknown source addresses are dropped
  std::optional<bool> learning;       ///< of a bridge port
};

/// Everything of a veth pair that one RTM_NEWLINK can say. The peer is made inside the container's namespace under its
/// final name and stays down: setting it up in the same message fails with ENOTCONN (drivers/net/veth.c), and
/// IFLA_IFALIAS is ignored here, so alias and "up" follow in the next batches.
struct VethSpec {
  std::string host_name;
  MacAddress host_mac;
  std::uint32_t master_index = 0;  ///< bridge to be enslaved to; 0 = none
  std::uint32_t mtu_bytes = 0;     ///< 0 = the kernel's default
  std::string container_name;
  MacAddress container_mac;
  int container_netns_fd = -1;  ///< borrowed
};

struct BridgeSpec {
  std::string name;
  MacAddress
      mac;  ///< always given: a bridge that inherits its lowest port's address changes it when that port goes
  std::uint32_t mtu_bytes = 0;  ///< 0 = the kernel's default
};

struct BridgePortSpec {
  std::uint32_t index = 0;
  std::string alias;  ///< may be empty: left as it is
  bool hairpin = false;
  bool isolated = false;
  bool locked =
      false;  ///< needs a static FDB entry of the container's address (neighbour.hpp); learning is then off
};

/// NLM_F_EXCL: EEXIST when either name is taken; the kernel does not say which, find_link() on both sides does.
[[nodiscard]] Request create_veth(const VethSpec& spec);
/// Host end up at creation; the bridge is created up, with its address set.
[[nodiscard]] Request create_bridge(const BridgeSpec& spec);
/// RTM_SETLINK with alias (acts in the socket's namespace).
[[nodiscard]] Request set_alias(std::uint32_t index, const std::string& alias);
/// Alias and port flags in one RTM_NEWLINK (IFLA_INFO_SLAVE_DATA). The link has to be a port of a bridge already.
[[nodiscard]] Request set_bridge_port(const BridgePortSpec& spec);
[[nodiscard]] Request set_up(std::uint32_t index);
[[nodiscard]] Request set_down(std::uint32_t index);
[[nodiscard]] Request set_promiscuous(std::uint32_t index, bool on);
[[nodiscard]] Request set_all_multicast(std::uint32_t index, bool on);
/// `packets` may be 0: no queue of its own.
[[nodiscard]] Request set_tx_queue_length(std::uint32_t index, std::uint32_t packets);
[[nodiscard]] Request set_master(std::uint32_t index, std::uint32_t master_index);
[[nodiscard]] Request set_group(std::uint32_t index, std::uint32_t group);
[[nodiscard]] Request set_mtu(std::uint32_t index, std::uint32_t mtu_bytes);
[[nodiscard]] Request set_mac(std::uint32_t index, const MacAddress& mac);
/// ENODEV is tolerated: deleting what is gone is success. Deleting one end of a veth pair deletes the other, wherever.
[[nodiscard]] Request delete_link(std::uint32_t index);
/// Deletes every link of that group in the socket's namespace: only with a fresh random group. ENODEV (an empty group)
/// is tolerated. Errors: kInternal for group 0, in which all links are that nobody grouped.
[[nodiscard]] Request delete_group(std::uint32_t group);

/// Reads one RTM_NEWLINK. Errors: kKernel when it is cut off.
[[nodiscard]] Link parse_link(const Reply& reply);

/// One message, no dump. nullopt when there is no such link.
[[nodiscard]] std::optional<Link> find_link(Socket& socket, const std::string& name);
[[nodiscard]] std::optional<Link> find_link(Socket& socket, std::uint32_t index);
/// A dump; for gc, ls and check, never for ADD.
[[nodiscard]] std::vector<Link> list_links(Socket& socket);

}  // namespace netctl::netlink
