#include "plugins/netavark/verbs.hpp"

#include "base/error.hpp"
#include "base/undo_stack.hpp"
#include "plugins/bridge/bridge_config.hpp"
#include "plugins/container-share/share_options.hpp"
#include "plugins/engine/addressing.hpp"
#include "plugins/engine/attach.hpp"
#include "plugins/engine/detach.hpp"
#include "plugins/engine/log.hpp"
#include "plugins/engine/publish.hpp"
#include "plugins/engine/share.hpp"
#include "plugins/engine/sharing.hpp"
#include "plugins/frontdoor/chain.hpp"
#include "plugins/netavark/network.hpp"
#include "plugins/overlay/overlay.hpp"

namespace netctl::netavark {
namespace {

constexpr const char* kPodmanNetworks = "/etc/containers/networks";

/// A setup or teardown document.
struct Call {
  explicit Call(const nlohmann::json& document) : whole(document, "") {
    const auto found = whole.object("network");
    if (!found) whole.complain("network", "is missing: netavark writes it");
    network = *found;
    const auto wishes = whole.object("network_options");
    key = {network.text("name").value_or(""), whole.text("container_id").value_or(""),
           wishes ? wishes->text("interface_name").value_or("") : ""};
    if (key.network.empty()) whole.complain("network.name", "is missing: netavark writes it");
    if (key.container_id.empty()) whole.complain("container_id", "is missing: netavark writes it");
    if (key.ifname.empty())
      whole.complain("network_options.interface_name", "is missing: netavark writes it");
  }
  cni::ConfigReader whole;
  cni::ConfigReader network = whole;
  ipam::AttachmentKey key;
};

bool belongs_to(const cni::Result& result, const cni::ResultIp& ip, const std::string& ifname) {
  const auto index = static_cast<std::size_t>(ip.interface.value_or(-1));
  return index >= result.interfaces.size() || result.interfaces[index].name == ifname;
}

nlohmann::json interface_of(const cni::Result& result, const std::string& ifname) {
  nlohmann::json made{{"mac_address", ""}, {"subnets", nlohmann::json::array()}};
  for (const cni::Interface& interface : result.interfaces) {
    if (interface.name == ifname && !interface.sandbox.empty()) made["mac_address"] = interface.mac;
  }
  for (const cni::ResultIp& ip : result.ips) {
    if (!belongs_to(result, ip, ifname)) continue;
    nlohmann::json subnet{{"ipnet", ip.address.to_string()}};
    if (ip.gateway) subnet["gateway"] = ip.gateway->to_string();
    made["subnets"].push_back(std::move(subnet));
  }
  return made;
}

cni::Result attach_to_bridge(const cni::Invocation& invocation) {
  engine::AttachmentRequest request = bridge::read_request(invocation);
  // Podman binds the host's ports before it calls, and its conmon keeps them.
  request.endpoint.caller_holds_ports = true;
  engine::Host host = engine::Host::open();
  return engine::attach(host, request);
}

cni::Result share_namespace(const cni::Invocation& invocation) {
  const engine::ShareRequest request = container_share::read_request(invocation);
  engine::Host host = engine::Host::open();
  UndoStack undo([](const std::string& step, const std::string& reason) {
    engine::log_warning("could not " + step + ": " + reason + "; `netctl gc` will");
  });
  cni::Result result = engine::share(host, request);
  undo.on_failure("give the namespace back",
                  [&] { engine::detach_part(host, request.key, engine::kSharePart); });
  engine::PublishRequest ports = container_share::read_ports(invocation, result);
  ports.caller_holds_ports = true;
  if (!ports.ports.empty()) engine::publish(host, ports);
  undo.commit();
  return result;
}

void refuse_double_name(const std::string& network) {
  std::vector<std::string> complaints;
  for (const frontdoor::NetworkConf& conf : frontdoor::load_all(frontdoor::conf_directory(), complaints)) {
    if (conf.name == network) {
      throw Error(ErrorCode::kInvalidConfig,
                  "there is a network " + network + " in " + conf.file + " already; choose another name");
    }
  }
}

}  // namespace

nlohmann::json create(const nlohmann::json& network) {
  const cni::ConfigReader reader(network, "network");
  refuse_double_name(reader.text("name").value_or(""));
  return complete(network, [] {
    engine::Host host = engine::Host::open();
    return engine::free_subnet(host, subnets_of_podman(kPodmanNetworks));
  });
}

nlohmann::json setup(const nlohmann::json& document, const std::string& netns_path) {
  const Call call(document);
  frontdoor::Endpoint endpoint;
  endpoint.runtime = "podman";
  endpoint.container_id = call.key.container_id;
  endpoint.netns = netns_path;
  endpoint.ifname = call.key.ifname;
  const nlohmann::json configuration = configuration_of(call.network, call.whole);
  const cni::Invocation invocation = frontdoor::make_invocation(endpoint, cni::Command::kAdd, configuration);
  nlohmann::json interfaces = nlohmann::json::object();
  if (invocation.type == kNone) {
    (void)frontdoor::find_builtin(kNone)->add(invocation);
  } else if (invocation.type == kContainerShare) {
    const cni::Result shared = share_namespace(invocation);
    for (const cni::Interface& interface : shared.interfaces)
      interfaces[interface.name] = interface_of(shared, interface.name);
  } else if (invocation.type == kOverlay) {
    interfaces[call.key.ifname] = interface_of(overlay::add(invocation, true), call.key.ifname);
  } else {
    interfaces[call.key.ifname] = interface_of(attach_to_bridge(invocation), call.key.ifname);
  }
  return {{"dns_search_domains", nlohmann::json::array()},
          {"dns_server_ips", call.network.texts("network_dns_servers")},
          {"interfaces", std::move(interfaces)}};
}

void undo_setup(const nlohmann::json& call) { teardown(call); }

void teardown(const nlohmann::json& document) {
  const Call call(document);
  engine::Host host = engine::Host::open();
  engine::detach_part(host, call.key, kBridge);
  engine::detach_part(host, call.key, engine::kPublishPart);
  engine::detach_part(host, call.key, engine::kSharePart);
  const std::string overlay = joined_overlay(call.network);
  if (!overlay.empty())
    engine::detach_part(host, {overlay, call.key.container_id, call.key.ifname}, kOverlay);
}

nlohmann::json info() {
  return {{"version", NETCTL_VERSION},
          {"api_version", "1.0.0"},
          {"drivers", nlohmann::json::array({kBridge, kContainerShare, kNone, kOverlay})}};
}

}  // namespace netctl::netavark
