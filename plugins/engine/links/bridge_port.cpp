// A veth pair whose host end is a port of the network's bridge.

#include <algorithm>

#include "netlink/bridge_vlan.hpp"
#include "netlink/link.hpp"
#include "netlink/neighbour.hpp"
#include "netlink/sysctl.hpp"
#include "plugins/engine/link_kinds.hpp"

namespace netctl::engine::links {

std::vector<netlink::Request> vlan_requests(Host& host, std::uint32_t index, const VlanSpec& vlan) {
  std::vector<netlink::Request> requests;
  if (!vlan.is_wanted()) return requests;
  if (!vlan.keep_default) {
    const std::vector<netlink::BridgeVlans> present = netlink::list_bridge_vlans(host.route(), index);
    if (!present.empty()) requests.push_back(netlink::delete_bridge_vlans(index, present));
  }
  std::vector<netlink::BridgeVlans> vlans;
  for (const auto& [first, last] : vlan.trunk) vlans.push_back({first, last, false, false});
  if (vlan.access != 0) vlans.push_back({vlan.access, vlan.access, true, true});
  requests.push_back(netlink::add_bridge_vlans(index, vlans));
  return requests;
}

nlohmann::json to_json(const VlanSpec& vlan) {
  return {{"access", vlan.access}, {"trunk", vlan.trunk}, {"keepDefault", vlan.keep_default}};
}

VlanSpec vlan_from_json(const nlohmann::json& json) {
  VlanSpec vlan;
  if (!json.is_object()) return vlan;
  vlan.access = json.value("access", std::uint16_t{0});
  vlan.trunk = json.value("trunk", decltype(vlan.trunk){});
  vlan.keep_default = json.value("keepDefault", true);
  return vlan;
}

std::vector<std::string> vlan_drift(Host& host, std::uint32_t index, const std::string& name,
                                    const VlanSpec& vlan) {
  std::vector<std::string> findings;
  if (!vlan.is_wanted()) return findings;
  const std::vector<netlink::BridgeVlans> present = netlink::list_bridge_vlans(host.route(), index);
  const auto has = [&present](std::uint16_t first, std::uint16_t last, bool untagged) {
    return std::any_of(present.begin(), present.end(), [&](const netlink::BridgeVlans& one) {
      return one.first <= first && last <= one.last && one.untagged == untagged && (!untagged || one.pvid);
    });
  };
  if (vlan.access != 0 && !has(vlan.access, vlan.access, true)) {
    findings.push_back(name + " is not an untagged port of VLAN " + std::to_string(vlan.access));
  }
  for (const auto& [first, last] : vlan.trunk) {
    if (has(first, last, false)) continue;
    findings.push_back(name + " does not pass the VLANs " + std::to_string(first) + " to " +
                       std::to_string(last));
  }
  return findings;
}

void make(Host& host, Container& container, const Plan& plan, const BridgePortPlan& shape,
          const SharedNetwork& network) {
  make_veth(host, container, plan, network.bridge_index);
  const std::uint32_t index = must_find(host.route(), plan.link->host_ifname);
  netlink::BridgePortSpec port;
  port.index = index;
  port.alias = plan.link->alias;
  port.hairpin = shape.hairpin;
  port.isolated = shape.isolated;
  port.locked = shape.locked;
  std::vector<netlink::Request> requests{netlink::set_bridge_port(port)};
  for (netlink::Request& request : vlan_requests(host, index, shape.vlan))
    requests.push_back(std::move(request));
  // Behind the VLANs: an entry is made for each that the port is in.
  if (port.locked) requests.push_back(netlink::add_bridge_fdb(index, plan.link->container_mac));
  host.route().transact_all(requests);
  netlink::write_sysctls(plan.host_sysctls);
}

}  // namespace netctl::engine::links
