#include "plugins/netavark/verbs.hpp"

#include "base/error.hpp"
#include "plugins/bridge/bridge_config.hpp"
#include "plugins/engine/addressing.hpp"
#include "plugins/engine/attach.hpp"
#include "plugins/engine/detach.hpp"
#include "plugins/frontdoor/chain.hpp"
#include "plugins/netavark/network.hpp"

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

nlohmann::json interface_of(const cni::Result& result, const std::string& ifname) {
  nlohmann::json made{{"mac_address", ""}, {"subnets", nlohmann::json::array()}};
  for (const cni::Interface& interface : result.interfaces) {
    if (interface.name == ifname && !interface.sandbox.empty()) made["mac_address"] = interface.mac;
  }
  for (const cni::ResultIp& ip : result.ips) {
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
}

nlohmann::json info() {
  return {{"version", NETCTL_VERSION},
          {"api_version", "1.0.0"},
          {"drivers", nlohmann::json::array({kBridge, kNone})}};
}

}  // namespace netctl::netavark
