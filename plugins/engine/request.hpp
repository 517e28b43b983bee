#pragma once
// What every front end turns its input into: one container's wish to be attached to one network. A plain value that names no
// kernel object and knows nothing of the protocol it came through.

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/ip_address.hpp"
#include "base/mac_address.hpp"
#include "ipam/pool.hpp"
#include "ipam/records.hpp"
#include "netlink/macvlan.hpp"
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

/// The VLANs of a bridge port.
struct VlanSpec {
  std::uint16_t access = 0;  ///< of frames without a tag; 0: none
  std::vector<std::pair<std::uint16_t, std::uint16_t>>
      trunk;                 ///< ranges of those with a tag, in order, disjoint
  bool keep_default = true;  ///< the port stays in the bridge's default VLAN, too

  [[nodiscard]] bool is_wanted() const { return access != 0 || !trunk.empty(); }
};

/// A veth pair whose host end is a port of the network's bridge.
struct BridgePort {
  VlanSpec vlan;
};

/// A veth pair without a bridge: the host end has the gateways' addresses, and the host a route to the container.
struct PointToPoint {};

/// An interface on top of a device of the host (or of the container).
struct Macvlan {
  std::string master;              ///< empty: the device of the default route
  std::uint32_t master_index = 0;  ///< found by resolve_link()
  netlink::MacvlanMode mode = netlink::MacvlanMode::kBridge;
  bool master_in_container = false;
  std::optional<std::uint32_t> broadcast_queue_length;  ///< packets
};

/// A device as it stood in the host before it moved.
struct DeviceState {
  std::string name;
  std::uint32_t index = 0;
  std::string kind;  ///< empty: hardware, which the kernel gives back when the container's namespace ends
  std::string mac;
  std::uint32_t mtu_bytes = 0;
  bool up = false;
  std::string alias;
  std::string bridge;  ///< whose port it was; empty: none
  std::vector<IpPrefix> addresses;
};

/// A device of the host that moves into the container. The first selector that is set counts.
struct HostDevice {
  std::string device;       ///< by name
  std::string mac;          ///< by hardware address
  std::string kernel_path;  ///< folder below /sys/devices
  std::string bus_id;       ///< PCI address, or the name of an auxiliary device
  bool userspace_driver =
      false;  ///< a DPDK driver has it: there is no interface to move. Found by resolve_link(), too.
  std::optional<DeviceState> found;  ///< by resolve_link()
};

using LinkSpec = std::variant<BridgePort, PointToPoint, Macvlan, HostDevice>;

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
  LinkSpec link;           ///< which interface, when makes_link
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
