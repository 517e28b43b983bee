#include "plugins/engine/ingress.hpp"

#include "base/error.hpp"
#include "netlink/link.hpp"
#include "plugins/engine/identity.hpp"
#include "plugins/engine/network.hpp"
#include "plugins/engine/network_setup.hpp"

namespace netctl::engine {
namespace {

using iptables::Ingress;

constexpr const char* kIngress = "ingress";  // in the part's state

std::optional<ipam::NetworkRecord> recorded_network(Host& host, const std::string& name) {
  std::optional<ipam::NetworkRecord> network;
  host.live().read([&](const ipam::Transaction& store) { network = store.find_network(name); });
  return network;
}

Ingress recorded_policy(const std::optional<ipam::NetworkRecord>& network) {
  return network && network->policy.is_object() ? policy_from_json(network->policy).ingress : Ingress::kOpen;
}

NetworkPlan network_plan(const IngressRequest& request, const ipam::AttachmentRecord& record,
                         const std::optional<ipam::NetworkRecord>& network) {
  NetworkPlan plan;
  plan.name = request.key.network;
  plan.driver = kFirewallPart;
  plan.bridge = record.bridge;
  if (!plan.bridge.empty()) plan.bridge_mac = bridge_mac(plan.bridge);
  plan.policy.network = request.key.network;
  const std::string gateway = network ? recorded_gateway_link(*network) : std::string();
  plan.policy.link = gateway.empty() ? request.bridge : gateway;
  plan.ingress = request.policy;
  return plan;
}

void set_isolated(Host& host, const netlink::Link& port, bool isolated) {
  netlink::BridgePortSpec spec;
  spec.index = port.index;
  spec.hairpin = port.hairpin.value_or(false);
  spec.locked = port.locked.value_or(false);
  spec.isolated = isolated;
  host.route().transact(netlink::set_bridge_port(spec));
}

nlohmann::json ports_in(const nlohmann::json& state) {
  return state.is_object() ? state.value("ports", nlohmann::json::array()) : nlohmann::json::array();
}

void part_ports(Host& host, const nlohmann::json& state) {
  for (const nlohmann::json& name : ports_in(state)) {
    const auto port = netlink::find_link(host.route(), name.get<std::string>());
    if (!port || !port->isolated) {
      throw Error(ErrorCode::kTryAgainLater,
                  "bridge port " + name.get<std::string>() + " vanished as it was being set up; try again");
    }
    set_isolated(host, *port, true);
  }
}

}  // namespace

nlohmann::json prepare_ingress(Host& host, const IngressRequest& request) {
  if (request.policy == Ingress::kOpen) return nullptr;
  const auto bridge = netlink::find_link(host.route(), request.bridge);
  if (request.bridge.empty() || !bridge) {
    throw Error(ErrorCode::kInvalidConfig,
                "ingressPolicy: the interface needs to be set, and to be a bridge, for ingress policy \"" +
                    to_string(request.policy) + "\"; chain firewall behind bridge, or leave the policy open");
  }
  nlohmann::json state = {{"policy", to_string(request.policy)}, {"ports", nlohmann::json::array()}};
  if (request.policy != Ingress::kIsolated) return state;
  bool found = false;
  for (const std::string& name : request.host_links) {
    const auto port = netlink::find_link(host.route(), name);
    if (!port || port->master_index != bridge->index || !port->isolated) continue;
    found = true;
    if (!*port->isolated) state["ports"].push_back(name);
  }
  if (found) return state;
  throw Error(ErrorCode::kInvalidConfig,
              "ingressPolicy: prevResult names no port of " + request.bridge +
                  " that belongs to the container, so it cannot be isolated; chain firewall behind bridge");
}

void apply_ingress(Host& host, const IngressRequest& request, const ipam::AttachmentRecord& record,
                   const nlohmann::json& state) {
  const auto network = recorded_network(host, request.key.network);
  if (request.policy == Ingress::kOpen && recorded_policy(network) == Ingress::kOpen) return;
  NetworkPlan plan = network_plan(request, record, network);
  ensure_network(host, plan, network);
  plan.policy.ingress = request.policy;
  put_policy(host, plan.policy, {});  // also where somebody flushed the table
  part_ports(host, state);
}

void undo_ingress(Host& host, const nlohmann::json& state) {
  for (const nlohmann::json& name : ports_in(state)) {
    const auto port = netlink::find_link(host.route(), name.get<std::string>());
    if (port && port->isolated.value_or(false)) set_isolated(host, *port, false);
  }
}

std::vector<std::string> ingress_drift(Host& host, const ipam::AttachmentRecord& record,
                                       const nlohmann::json& state) {
  std::vector<std::string> findings;
  if (state.is_null()) return findings;
  const std::string wanted = state.value("policy", "");
  const std::string present = to_string(recorded_policy(recorded_network(host, record.key.network)));
  if (present != wanted) {
    findings.push_back("the ingress policy of network " + record.key.network + " is " + present + ", not " +
                       wanted);
  }
  for (const nlohmann::json& name : ports_in(state)) {
    const auto port = netlink::find_link(host.route(), name.get<std::string>());
    if (port && port->isolated.value_or(false)) continue;
    findings.push_back(name.get<std::string>() + " is not parted from the other ports of its bridge");
  }
  return findings;
}

bool has_parted_port(const ipam::AttachmentRecord& record) {
  const nlohmann::json state = part_state(record, kFirewallPart);
  return state.is_object() && !ports_in(state.value(kIngress, nlohmann::json())).empty();
}

}  // namespace netctl::engine
