#pragma once
// Names and hardware addresses that follow from identity alone: whoever computes them again gets the same ones.

#include <cstdint>
#include <string>
#include <vector>

#include "base/ip_address.hpp"
#include "base/mac_address.hpp"
#include "ipam/records.hpp"

namespace netctl::engine {

/// "nc" + 13 hex digits (15 bytes, IFNAMSIZ - 1).
[[nodiscard]] std::string host_ifname(const ipam::AttachmentKey& key);
/// "np" + the same digits: the container's end while it waits in the host's namespace for the runtime.
[[nodiscard]] std::string handed_over_ifname(const ipam::AttachmentKey& key);
[[nodiscard]] MacAddress host_mac(const ipam::AttachmentKey& key);
/// Made of the network and the first address: whoever gets the address next has the same hardware address, so that no
/// neighbour's cache is ever stale. Without an address, of the attachment's identity.
[[nodiscard]] MacAddress container_mac(const ipam::AttachmentKey& key,
                                       const std::vector<IpPrefix>& addresses);
/// Of the machine's id and the bridge's name: the bridge keeps it whatever ports come and go.
[[nodiscard]] MacAddress bridge_mac(const std::string& bridge);

/// "<bridge>.<vlan>": the interface that has the gateway's address in a VLAN of the bridge, as the reference calls it;
/// and the port that it is connected to.
[[nodiscard]] std::string vlan_gateway_name(const std::string& bridge, std::uint16_t vlan);
[[nodiscard]] std::string vlan_gateway_port(const std::string& bridge, std::uint16_t vlan);
/// The VLAN in a gateway's name; 0 when it is none.
[[nodiscard]] std::uint16_t vlan_of_gateway(const std::string& name);

inline constexpr const char* kAliasPrefix = "netctl:1:";

/// "netctl:1:<network>:<key>:<addresses>", the kernel's own copy of whose link this is; at most 255 bytes (IFALIASZ - 1):
/// the network's name gives way first.
[[nodiscard]] std::string link_alias(const ipam::AttachmentKey& key, const std::vector<IpPrefix>& addresses);
/// The same for a device that moved into the container; it tells what the device was called on the host.
[[nodiscard]] std::string device_alias(const ipam::AttachmentKey& key, const std::string& name);
[[nodiscard]] std::string bridge_alias(const std::string& network);
/// 16 hex digits that stand for the key in aliases and comments.
[[nodiscard]] std::string key_digest(const ipam::AttachmentKey& key);
/// The digest in an alias of ours; empty when the alias is not ours or is a bridge's.
[[nodiscard]] std::string digest_in_alias(const std::string& alias);
/// For people who read the ruleset: "<network>/<container id, shortened>/<ifname>".
[[nodiscard]] std::string owner_comment(const ipam::AttachmentKey& key);
/// For sentences: "container web (0123456789ab), interface eth0".
[[nodiscard]] std::string describe(const ipam::AttachmentKey& key, const std::string& container_name = {});

}  // namespace netctl::engine
