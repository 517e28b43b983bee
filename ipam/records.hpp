#pragma once
// What the store remembers. Plain values; codec.hpp turns them into bytes and keeps fields that it does not know.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/ip_address.hpp"

namespace netctl::ipam {

/// Identity of an attachment: one interface of one container on one network.
struct AttachmentKey {
  std::string network;
  std::string container_id;
  std::string ifname;

  auto operator<=>(const AttachmentKey&) const = default;
};

/// kAdding or kDeleting with a free attachment lock means that the process died in the middle.
enum class State : std::uint8_t { kAdding, kReady, kDeleting };

/// A port claim of an attachment; ports in host order. `protocol` is an IPPROTO number.
struct PortRecord {
  std::uint8_t protocol = 0;
  std::optional<IpAddress> host_ip;  ///< nullopt: every host address, both families
  std::uint16_t host_port = 0;
  std::uint16_t count = 1;
  std::uint16_t container_port = 0;
  std::vector<IpAddress> targets;  ///< the container's addresses that it leads to, one a family
  bool masquerade_local = true;
  std::vector<std::string>
      claimed_by;  ///< executables that asked for it ("bridge", "portmap"); freed with the last

  auto operator<=>(const PortRecord&) const = default;
};

/// An address that this attachment holds, and the pool that it came from.
struct LeaseRecord {
  IpPrefix address;  ///< with the subnet's prefix length
  std::optional<IpAddress> gateway;
  std::string pool;  ///< PoolId; empty: another plugin's IPAM gave it, nothing to free here

  auto operator<=>(const LeaseRecord&) const = default;
};

/// Everything that DEL, CHECK, gc and `netctl ps` need, so that none of them needs netns, prevResult or runtimeConfig.
struct AttachmentRecord {
  AttachmentKey key;
  /// State by executable that has a share in the attachment ("bridge", "portmap", "host-local"): each undoes its own.
  std::map<std::string, State> parts;
  std::string netns_path;
  std::uint64_t netns_cookie = 0;  ///< 0: unknown
  std::string
      mount_namespace;      ///< in which netns_path was seen: only there does a missing path prove anything
  std::string bridge;       ///< host-side link that it is enslaved to; empty: none
  std::string host_ifname;  ///< empty: no link of ours
  std::string host_mac, container_mac;
  std::vector<LeaseRecord> leases;
  std::vector<PortRecord> ports;
  std::string container_name;  ///< K8S_POD_NAME, a label, netctl's --name; may be empty
  std::map<std::string, std::string> labels;
  std::string runtime;                              ///< who called, when known
  std::int64_t created_wall_seconds = 0;            ///< Unix time
  std::int64_t created_boot_nanoseconds = 0;        ///< CLOCK_BOOTTIME
  nlohmann::json result;                            ///< the CNI result in its newest form, null until ready
  nlohmann::json extra = nlohmann::json::object();  ///< fields of a newer version, kept as they came

  bool operator==(const AttachmentRecord&) const = default;
};

/// What is shared by a network's attachments and goes with the last of them.
struct NetworkRecord {
  std::string name;
  std::string driver;  ///< "bridge", "portmap" (chained behind a foreign plugin)
  std::string bridge;
  bool bridge_created = false;  ///< false: adopted, never removed
  nlohmann::json policy;        ///< iptables::NetworkPolicy as the engine writes it
  std::vector<std::string> subnets;
  std::vector<std::string> pools;  ///< PoolIds that its attachments use
  /// Host sysctls that were changed for it: path below /proc/sys/net -> value before.
  std::map<std::string, std::string> sysctls_before;
  nlohmann::json extra = nlohmann::json::object();

  bool operator==(const NetworkRecord&) const = default;
};

/// An address that is kept for a name, whether its container runs or not. Durable.
struct ReservationRecord {
  std::string network;
  std::string name;
  std::vector<IpAddress> addresses;  ///< at most one a family

  bool operator==(const ReservationRecord&) const = default;
};

}  // namespace netctl::ipam
