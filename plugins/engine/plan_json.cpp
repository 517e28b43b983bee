#include <utility>

#include "plugins/engine/plan.hpp"

namespace netctl::engine {
namespace {

using Json = nlohmann::json;

Json texts(const std::vector<IpPrefix>& prefixes) {
  Json list = Json::array();
  for (const IpPrefix& prefix : prefixes) list.push_back(prefix.to_string());
  return list;
}

std::vector<IpPrefix> prefixes(const Json& list) {
  std::vector<IpPrefix> parsed;
  for (const Json& item : list) {
    if (const auto prefix = IpPrefix::parse(item.get<std::string>())) parsed.push_back(*prefix);
  }
  return parsed;
}

Json sysctls_json(const std::vector<Sysctl>& sysctls) {
  Json object = Json::object();
  for (const auto& [path, value] : sysctls) object["net/" + path] = value;
  return object;
}

Json port_json(const iptables::PublishedPort& port) {
  return {{"protocol", iptables::to_string(port.protocol)},
          {"hostIP", port.host_ip ? port.host_ip->to_string() : ""},
          {"hostPort", port.host_port},
          {"count", port.count},
          {"address", port.container.to_string()},
          {"containerPort", port.container_port}};
}

Json route_json(const cni::ResultRoute& route) {
  Json json = {{"dst", route.destination.to_string()}};
  if (route.gateway) json["gw"] = route.gateway->to_string();
  return json;
}

Json network_json(const NetworkPlan& network) {
  Json json = {{"name", network.name},
               {"sysctls", sysctls_json(network.host_sysctls)},
               {"policy", to_json(network.policy)}};
  if (network.bridge.empty()) return json;
  json["bridge"] = {{"name", network.bridge},
                    {"mac", network.bridge_mac.to_string()},
                    {"mtu", network.mtu_bytes},
                    {"promiscuous", network.promiscuous},
                    {"addresses", texts(network.gateways)}};
  if (network.filters_vlans) json["bridge"]["filtersVlans"] = true;
  if (network.gateway_vlan != 0) {
    json["gateway"] = {{"name", network.gateway_link},
                       {"vlan", network.gateway_vlan},
                       {"addresses", std::exchange(json["bridge"]["addresses"], Json::array())}};
  }
  return json;
}

Json vlan_json(const VlanSpec& vlan) {
  Json trunk = Json::array();
  for (const auto& [first, last] : vlan.trunk) {
    trunk.push_back(std::to_string(first) + (last != first ? "-" + std::to_string(last) : ""));
  }
  return {{"untagged", vlan.access}, {"tagged", trunk}, {"keepsDefault", vlan.keep_default}};
}

Json host_end_json(const LinkPlan& link) {
  return {{"name", link.host_ifname}, {"mac", link.host_mac.to_string()}, {"alias", link.alias}};
}

void add_shape(Json& json, const LinkPlan& link, const BridgePortPlan& shape) {
  json["host"] = host_end_json(link);
  json["host"].update({{"hairpin", shape.hairpin}, {"isolated", shape.isolated}, {"locked", shape.locked}});
  if (shape.vlan.is_wanted()) json["host"]["vlans"] = vlan_json(shape.vlan);
}

void add_shape(Json& json, const LinkPlan& link, const PointToPointPlan& shape) {
  json["host"] = host_end_json(link);
  json["host"]["addresses"] = texts(shape.gateways);
  Json& routes = json["host"]["routes"] = Json::array();
  for (const netlink::Route& route : shape.host_routes) routes.push_back(route.destination.to_string());
}

void add_shape(Json& json, const LinkPlan& link, const MacvlanPlan& shape) {
  json["macvlan"] = {{"master", shape.spec.master},
                     {"mode", netlink::to_string(shape.spec.mode)},
                     {"masterInContainer", shape.spec.master_in_container},
                     {"alias", link.alias}};
  if (shape.spec.broadcast_queue_length)
    json["macvlan"]["broadcastQueueLength"] = *shape.spec.broadcast_queue_length;
}

void add_shape(Json& json, const LinkPlan& link, const DevicePlan& shape) {
  if (!shape.device) {
    json["device"] = nullptr;
    return;
  }
  json["device"] = {{"name", shape.device->name}, {"alias", link.alias}};
}

Json link_json(const LinkPlan& link) {
  Json json = {{"container",
                {{"name", link.container_ifname}, {"mac", link.container_mac.to_string()}, {"up", link.up}}},
               {"mtu", link.mtu_bytes}};
  std::visit([&](const auto& shape) { add_shape(json, link, shape); }, link.shape);
  return json;
}

Json kernel_route_json(const netlink::Route& route) {
  Json json = {{"dst", route.destination.to_string()}};
  if (route.gateway) json["gw"] = route.gateway->to_string();
  return json;
}

}  // namespace

nlohmann::json to_json(const iptables::NetworkPolicy& policy) {
  Json json = {{"network", policy.network},
               {"link", policy.link},
               {"masquerade", texts(policy.masquerade)},
               {"masqueradeExclude", texts(policy.masquerade_exclude)},
               {"publishes", policy.publishes},
               {"isolated", policy.isolated},
               {"internal", policy.internal}};
  if (policy.ingress != iptables::Ingress::kOpen) json["ingress"] = to_string(policy.ingress);
  if (policy.tunnelled) json["tunnelled"] = true;
  return json;
}

iptables::NetworkPolicy policy_from_json(const nlohmann::json& json) {
  iptables::NetworkPolicy policy;
  policy.network = json.value("network", "");
  policy.link = json.value("link", "");
  policy.masquerade = prefixes(json.value("masquerade", Json::array()));
  policy.masquerade_exclude = prefixes(json.value("masqueradeExclude", Json::array()));
  policy.publishes = json.value("publishes", false);
  policy.isolated = json.value("isolated", false);
  policy.internal = json.value("internal", false);
  policy.ingress = iptables::parse_ingress(json.value("ingress", "")).value_or(iptables::Ingress::kIsolated);
  policy.tunnelled = json.value("tunnelled", false);
  return policy;
}

nlohmann::json to_json(const Plan& plan) {
  Json json = {
      {"version", 1},
      {"attachment",
       {{"network", plan.key.network}, {"containerID", plan.key.container_id}, {"ifname", plan.key.ifname}}},
      {"network", network_json(plan.network)},
      {"addresses", texts(plan.addresses)},
      {"routes", Json::array()},
      {"hostSysctls", sysctls_json(plan.host_sysctls)},
      {"containerSysctls", sysctls_json(plan.container_sysctls)},
      {"ports", Json::array()}};
  if (plan.link) json["link"] = link_json(*plan.link);
  if (plan.link && plan.link->handed_over) json["link"]["container"]["handedOver"] = true;
  if (!plan.connected_routes) {
    Json& routes = json["containerRoutes"] = Json::array();
    for (const netlink::Route& route : plan.kernel_routes) routes.push_back(kernel_route_json(route));
  }
  for (const cni::ResultRoute& route : plan.routes) json["routes"].push_back(route_json(route));
  for (const iptables::PublishedPort& port : plan.ports) json["ports"].push_back(port_json(port));
  return json;
}

}  // namespace netctl::engine
