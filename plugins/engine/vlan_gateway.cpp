#include "plugins/engine/vlan_gateway.hpp"

#include "base/error.hpp"
#include "netlink/bridge_vlan.hpp"
#include "netlink/netns.hpp"
#include "plugins/engine/identity.hpp"
#include "plugins/engine/link_kinds.hpp"

namespace netctl::engine {
namespace {

void make_pair(Host& host, const NetworkPlan& plan, const netlink::Link& bridge) {
  const netlink::Netns home = netlink::Netns::current();
  netlink::VethSpec spec;
  spec.host_name = vlan_gateway_port(plan.bridge, plan.gateway_vlan);
  spec.host_mac = bridge_mac(spec.host_name);
  spec.master_index = bridge.index;
  spec.mtu_bytes = plan.mtu_bytes;
  spec.container_name = plan.gateway_link;
  spec.container_mac = bridge_mac(plan.gateway_link);
  spec.container_netns_fd = home.fd();
  host.route().transact(netlink::create_veth(spec));
}

/// Ours carries the alias of a network; what is there without one was made by a process that died right after.
bool is_ours(const netlink::Link& gateway, const NetworkPlan& plan) {
  if (gateway.kind != "veth") return false;
  if (!gateway.alias.empty()) return gateway.alias.rfind(kAliasPrefix, 0) == 0;
  return gateway.mac == bridge_mac(plan.gateway_link);
}

}  // namespace

void require_vlan_filtering(Host& host, const VlanSpec& vlan) {
  if (!vlan.is_wanted() || netlink::has_bridge_vlans(host.route())) return;
  const std::string key = vlan.access != 0 ? "vlan" : "vlanTrunk";
  const std::string value =
      vlan.access != 0 ? std::to_string(vlan.access) : std::to_string(vlan.trunk.size()) + " ranges";
  throw Error(
      ErrorCode::kUnsupportedField,
      "the key " + key + " with value " + value +
          " needs bridge VLAN filtering, which this kernel lacks (CONFIG_BRIDGE_VLAN_FILTERING); leave "
          "it out, or use another kernel",
      key);
}

void ensure_vlan_filtering(Host& host, const netlink::Link& bridge, bool is_ours) {
  if (netlink::find_vlan_filtering(host.route(), bridge.index).value_or(false)) return;
  if (!is_ours) {
    throw Error(ErrorCode::kInvalidConfig,
                "bridge " + bridge.name +
                    " does not filter VLANs, and something else made it; switch that on (`ip link "
                    "set " +
                    bridge.name + " type bridge vlan_filtering 1`), or name another bridge");
  }
  host.route().transact(netlink::set_vlan_filtering(bridge.index));
}

netlink::Link ensure_vlan_gateway(Host& host, const NetworkPlan& plan, const netlink::Link& bridge) {
  auto gateway = netlink::find_link(host.route(), plan.gateway_link);
  if (gateway && !is_ours(*gateway, plan)) {
    throw Error(ErrorCode::kInvalidConfig, plan.gateway_link + " exists and is not the gateway of VLAN " +
                                               std::to_string(plan.gateway_vlan) +
                                               "; remove it, or choose another VLAN or bridge");
  }
  if (!gateway) make_pair(host, plan, bridge);
  const std::uint32_t index = must_find(host.route(), plan.gateway_link);
  const std::uint32_t port = must_find(host.route(), vlan_gateway_port(plan.bridge, plan.gateway_vlan));
  std::vector<netlink::Request> requests{
      netlink::set_alias(index, bridge_alias(plan.name)), netlink::set_alias(port, bridge_alias(plan.name)),
      netlink::set_master(port, bridge.index), netlink::set_up(port), netlink::set_up(index)};
  host.route().transact_all(requests);
  VlanSpec vlan;
  vlan.access = plan.gateway_vlan;
  vlan.keep_default = plan.keeps_default_vlan;
  host.route().transact_all(links::vlan_requests(host, port, vlan));
  gateway = netlink::find_link(host.route(), index);
  if (gateway) return *gateway;
  throw Error(ErrorCode::kTryAgainLater, plan.gateway_link + " vanished as it was made; try again");
}

void remove_vlan_gateway(Host& host, const std::string& gateway_link) {
  const auto gateway = netlink::find_link(host.route(), gateway_link);
  const bool is_ours =
      gateway && gateway->kind == "veth" &&
      (gateway->alias.rfind(kAliasPrefix, 0) == 0 || gateway->mac == bridge_mac(gateway_link));
  if (is_ours) host.route().transact(netlink::delete_link(gateway->index));
}

}  // namespace netctl::engine
