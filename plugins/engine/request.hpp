#pragma once
// What every front end turns its input into: one container's wish to be attached to one network. A plain value that names no
// kernel object and knows nothing of the protocol it came through.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/ip_address.hpp"
#include "base/mac_address.hpp"
#include "ipam/pool.hpp"
#include "ipam/records.hpp"
#include "plugins/cni/invocation.hpp"
#include "plugins/cni/runtime_config.hpp"
#include "plugins/overlay/control/lease.hpp"

namespace netctl::engine {

/// The overlay that a network is this host's part of.
struct OverlaySpec {
  overlay::Lease lease;
  std::string digest;  ///< of the membership: what the kernel has to hold
  /// Made of the configuration, and not what the lease file says: whoever sets the network up writes it there.
  std::optional<overlay::Membership> fresh;
  bool held = false;  ///< an agent keeps the network, whether it has attachments or not
};

/// What all attachments of a network share.
struct NetworkSpec {
  std::string bridge = "cni0";
  std::uint32_t mtu_bytes = 0;  ///< 0 = the kernel's default
  bool is_gateway = false;      ///< the bridge has the gateway's address, the host forwards
  bool force_address = false;   ///< another address of the bridge gives way
  bool promiscuous = false;
  bool masquerade = false;
  std::vector<IpPrefix> masquerade_exclude;
  bool isolated = false;
  bool internal = false;
  bool localhost_publish = true;  ///< published ports are reachable through 127.0.0.1 too
  std::optional<OverlaySpec> overlay;
};

/// What concerns this container's interface alone.
struct EndpointSpec {
  std::optional<MacAddress> mac;
  bool hairpin = false;
  bool port_isolation = false;
  bool spoof_check = false;        ///< frames from other source addresses than its own are dropped
  bool detect_duplicates = false;  ///< IPv6 duplicate address detection
  bool disable_ipv6 = false;       ///< when it has no IPv6 address: not even a link-local one
  bool leave_down = false;         ///< layer 2 only: the container's end stays down
  bool default_gateway = false;    ///< add a default route through the gateway
  std::vector<cni::PortMapping> ports;
  bool caller_holds_ports = false;  ///< the caller has sockets on the host ports itself: they are not probed
  cni::Dns dns;                     ///< overrides what addressing says, unless empty
  /// The container's end is left in the host's namespace: the runtime takes it, and gives it its name, addresses and routes.
  bool handed_over = false;
};

enum class Addressing { kNone, kPool, kStatic, kDelegate };

/// Where addresses come from.
struct AddressingSpec {
  Addressing kind = Addressing::kNone;
  std::string delegate;                            ///< executable name for kDelegate
  std::string data_directory;                      ///< names the pool, together with the network
  std::vector<std::vector<ipam::RangeSpec>> sets;  ///< empty: a free subnet is chosen and remembered
  std::vector<IpPrefix> exclude;
  std::vector<IpAddress> wanted;
  std::vector<ipam::LeaseRecord> fixed;  ///< for kStatic: of no pool, somebody else keeps account of them
  std::vector<cni::ResultRoute> routes;
  cni::Dns dns;
};

struct AttachmentRequest {
  ipam::AttachmentKey key;
  std::string driver;      ///< the executable's name: its part of the record
  bool makes_link = true;  ///< false: somebody else makes the interface (stand-alone IPAM)
  std::string netns_path;
  bool netns_override = false;  ///< the plugin's own namespace is allowed
  std::string container_name;
  std::string runtime;               ///< who asks, when known
  std::vector<std::string> aliases;  ///< further names on this network, for `netctl inspect` and the like
  std::map<std::string, std::string> labels;
  NetworkSpec network;
  EndpointSpec endpoint;
  AddressingSpec addressing;
  const cni::Invocation* invocation =
      nullptr;  ///< borrowed; for the delegates' environment and configuration
};

}  // namespace netctl::engine
