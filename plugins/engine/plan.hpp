#pragma once
// The heart of the product: one description, four uses. ADD applies a plan, CHECK diffs it against the kernel, DEL undoes it
// by the record that was made of it, --plan prints it. Making a plan is pure: it asks neither kernel nor store.

#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>

#include "iptables/policy.hpp"
#include "netlink/route.hpp"
#include "plugins/engine/request.hpp"

namespace netctl::engine {

/// Path below /proc/sys/net and the value that is wanted there.
using Sysctl = std::pair<std::string, std::string>;

/// What the network's attachments share.
struct NetworkPlan {
  std::string name;
  std::string driver;
  std::string bridge;  ///< empty: no bridge of ours (chained behind another plugin)
  MacAddress bridge_mac;
  bool filters_vlans = false;
  bool keeps_default_vlan = true;  ///< for the gateway's port
  std::uint16_t gateway_vlan = 0;  ///< the gateway is a port of this VLAN, not the bridge itself; 0: none
  std::string gateway_link;        ///< its name, "<bridge>.<vlan>", when gateway_vlan is set
  std::uint32_t mtu_bytes = 0;
  bool is_main = false;  ///< of the plugin that makes the link: its switches are the network's
  bool promiscuous = false;
  bool force_address = false;
  bool localhost_publish = true;
  std::vector<IpPrefix> gateways;  ///< addresses of the bridge
  std::vector<Sysctl> host_sysctls;
  iptables::NetworkPolicy policy;
  std::optional<iptables::Ingress> ingress;  ///< nullopt: stays what the network has
  std::vector<std::string> pools;
  std::vector<IpPrefix> subnets;
  std::optional<OverlaySpec> overlay;
};

struct BridgePortPlan {
  bool hairpin = false;
  bool isolated = false;
  bool locked = false;
  VlanSpec vlan;
};

struct PointToPointPlan {
  std::vector<IpPrefix> gateways;           ///< of the host end, with the full prefix length
  std::vector<netlink::Route> host_routes;  ///< to the container; the link is that of the host end
};

struct MacvlanPlan {
  Macvlan spec;
  bool own_mac = true;  ///< false in passthru mode: it has the master's
};

struct DevicePlan {
  std::optional<DeviceState> device;  ///< nullopt: a userspace driver has it, nothing moves
};

using LinkShape = std::variant<BridgePortPlan, PointToPointPlan, MacvlanPlan, DevicePlan>;

/// The container's interface, and its host end where it has one.
struct LinkPlan {
  std::string host_ifname;  ///< of a veth pair; else empty
  MacAddress host_mac;
  std::string alias;
  std::string container_ifname;
  MacAddress container_mac;
  std::uint32_t mtu_bytes = 0;
  bool up = true;
  bool handed_over = false;  ///< it stays in the host's namespace for the runtime, under the name above
  LinkShape shape;
};

struct Plan {
  ipam::AttachmentKey key;
  NetworkPlan network;
  std::optional<LinkPlan> link;  ///< nullopt: this driver makes none
  std::vector<IpPrefix> addresses;
  bool connected_routes = true;          ///< false: even the neighbours of the prefix are behind the gateway
  std::vector<cni::ResultRoute> routes;  ///< as the result reports them
  std::vector<netlink::Route> kernel_routes;  ///< gateways filled in; the link is that of the container's end
  std::vector<Sysctl> host_sysctls;           ///< of the host end
  std::vector<Sysctl> container_sysctls;
  bool detect_duplicates = false;
  std::vector<iptables::PublishedPort> ports;
  cni::Dns dns;
};

/// `leases` and `ports` are what was reserved for the request. Errors: kInvalidConfig when a gateway is wanted and there is
/// none.
[[nodiscard]] Plan make_plan(const AttachmentRequest& request, const std::vector<ipam::LeaseRecord>& leases,
                             const std::vector<ipam::PortRecord>& ports);

/// The address of a macvlan: of the attachment's identity, not of its IP address, for another host may use the same network
/// name on the same wire.
[[nodiscard]] MacAddress macvlan_mac(const AttachmentRequest& request);

/// The elements that a claim becomes: one for each of the container's addresses that the host address fits.
[[nodiscard]] std::vector<iptables::PublishedPort> published_ports(
    const ipam::AttachmentKey& key, const std::vector<ipam::PortRecord>& ports);

/// For --plan and people: every link, address, route, rule element and sysctl by name.
[[nodiscard]] nlohmann::json to_json(const Plan& plan);

[[nodiscard]] nlohmann::json to_json(const iptables::NetworkPolicy& policy);
[[nodiscard]] iptables::NetworkPolicy policy_from_json(const nlohmann::json& json);

}  // namespace netctl::engine
