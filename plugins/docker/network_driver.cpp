#include "plugins/docker/network_driver.hpp"

#include <map>

#include "base/error.hpp"
#include "base/undo_stack.hpp"
#include "plugins/bridge/bridge_config.hpp"
#include "plugins/docker/endpoint_records.hpp"
#include "plugins/docker/ipam_driver.hpp"
#include "plugins/docker/network_definition.hpp"
#include "plugins/engine/attach.hpp"
#include "plugins/engine/detach.hpp"
#include "plugins/engine/identity.hpp"
#include "plugins/engine/log.hpp"
#include "plugins/engine/network.hpp"
#include "plugins/engine/parts/firewall.hpp"
#include "plugins/engine/publish.hpp"
#include "plugins/frontdoor/chain.hpp"

namespace netctl::docker {
namespace {

constexpr const char* kRuntime = "docker";
constexpr const char* kPortMap = "com.docker.network.portmap";
constexpr const char* kIfname = "eth0";  // Docker chooses the real one; here it only tells attachments apart

nlohmann::json done() { return nlohmann::json::object(); }

NetworkDefinition must_find_network(engine::Host& host, const std::string& id) {
  if (auto definition = find_definition(host, id)) return std::move(*definition);
  throw Error(ErrorCode::kInvalidConfig,
              "network " + id + " is not known; remove it with `docker network rm`, and create it again");
}

EndpointRecord must_find_endpoint(engine::Host& host, const std::string& id) {
  std::optional<EndpointRecord> endpoint;
  host.live().read([&](const ipam::Transaction& store) { endpoint = find_endpoint(store, id); });
  if (endpoint) return std::move(*endpoint);
  throw Error(ErrorCode::kUnknownContainer, "endpoint " + id + " is not known; connect the container again");
}

ipam::AttachmentKey key_of(const NetworkDefinition& network, const std::string& endpoint_id) {
  return {network.name, endpoint_id, kIfname};
}

std::vector<ipam::LeaseRecord> addresses_of(const NetworkDefinition& network,
                                            const cni::ConfigReader& interface) {
  std::vector<ipam::LeaseRecord> leases;
  for (const char* key : {"Address", "AddressIPv6"}) {
    const auto address = prefix_if_any(interface, key);
    if (!address) continue;
    ipam::LeaseRecord lease;
    lease.address = *address;
    for (const Subnet& subnet : network.subnets) {
      if (subnet.subnet.contains(address->address)) lease.gateway = subnet.gateway;
    }
    leases.push_back(std::move(lease));
  }
  if (leases.empty()) interface.complain("Address", "is missing: Docker's IPAM driver gives one");
  return leases;
}

/// The same request as from a runtime that calls the plugin `bridge`; only where the addresses come from and who puts the
/// interface into the container differ.
engine::AttachmentRequest request_of(const NetworkDefinition& network, const cni::Invocation& invocation,
                                     const cni::ConfigReader& interface) {
  engine::AttachmentRequest request = bridge::read_request(invocation);
  request.addressing.kind = engine::Addressing::kStatic;
  request.addressing.fixed = addresses_of(network, interface);
  request.endpoint.handed_over = true;
  return request;
}

cni::Invocation invocation_of(const NetworkDefinition& network, const std::string& endpoint_id,
                              const std::string& sandbox, const cni::ConfigReader& interface) {
  frontdoor::Endpoint endpoint;
  endpoint.runtime = kRuntime;
  endpoint.container_id = endpoint_id;
  endpoint.ifname = kIfname;
  endpoint.netns = sandbox;
  nlohmann::json configuration = network.configuration;
  if (const auto mac = interface.mac("MacAddress")) configuration["runtimeConfig"]["mac"] = mac->to_string();
  return frontdoor::make_invocation(endpoint, cni::Command::kAdd, configuration);
}

void detach_all(engine::Host& host, const ipam::AttachmentKey& key) {
  {
    const HeldLock lock = host.live().lock_attachment(key);
    engine::detach(host, key, std::nullopt);
  }
  engine::remove_network_if_unused(host, key.network);
}

/// Docker has its table drop what no rule of its own lets pass: to and from other machines, and where br_netfilter is loaded
/// between the containers of one bridge, too.
void let_pass(engine::Host& host, const engine::AttachmentRequest& attached) {
  engine::FirewallRequest request;
  request.key = attached.key;
  request.netns_path = attached.netns_path;
  request.zone = "trusted";
  for (const ipam::LeaseRecord& lease : attached.addressing.fixed) request.addresses.push_back(lease.address);
  request.host_links = {attached.network.bridge};
  engine::open_firewall(host, request);
}

nlohmann::json join_answer(const NetworkDefinition& network, const engine::AttachmentRequest& request) {
  nlohmann::json answer{
      {"InterfaceName", {{"SrcName", engine::handed_over_ifname(request.key)}, {"DstPrefix", "eth"}}},
      {"StaticRoutes", nlohmann::json::array()}};
  // Without a gateway Docker would add one of its own, through its network docker_gwbridge.
  if (network.internal) answer["DisableGatewayService"] = true;
  for (const ipam::LeaseRecord& lease : request.addressing.fixed) {
    if (network.internal || !lease.gateway) continue;
    answer[lease.gateway->is_v4() ? "Gateway" : "GatewayIPv6"] = lease.gateway->to_string();
  }
  return answer;
}

std::string protocol_name(const cni::ConfigReader& mapping) {
  constexpr std::int64_t kTcp = 6;
  constexpr std::int64_t kUdp = 17;
  constexpr std::int64_t kSctp = 132;
  switch (mapping.integer("Proto", 0, 255).value_or(kTcp)) {
    case kTcp:
      return "tcp";
    case kUdp:
      return "udp";
    case kSctp:
      return "sctp";
    default:
      mapping.complain("Proto", "must be tcp, udp or sctp");
  }
}

std::vector<cni::PortMapping> ports_of(const NetworkDefinition& network, const cni::ConfigReader& call) {
  constexpr std::int64_t kHighestPort = 65535;
  std::vector<cni::PortMapping> ports;
  const auto options = call.object("Options");
  if (!options) return ports;
  options->each_object(kPortMap, [&](const cni::ConfigReader& mapping) {
    cni::PortMapping port;
    const auto container_port = mapping.integer("Port", 1, kHighestPort);
    if (!container_port) mapping.complain("Port", "is missing");
    const auto host_port = mapping.integer("HostPort", 0, kHighestPort).value_or(0);
    const auto last = mapping.integer("HostPortEnd", 0, kHighestPort).value_or(0);
    if (last > host_port && host_port != 0) {
      mapping.complain("HostPortEnd", "one of a range of host ports cannot be chosen; name one, or none");
    }
    port.container_port = static_cast<std::uint16_t>(*container_port);
    port.host_port = static_cast<std::uint16_t>(host_port);
    port.protocol = protocol_name(mapping);
    port.host_ip = mapping.address("HostIP");
    if (!port.host_ip) port.host_ip = network.host_binding;
    ports.push_back(port);
  });
  return ports;
}

std::optional<ipam::AttachmentRecord> find_record(engine::Host& host, const ipam::AttachmentKey& key) {
  std::optional<ipam::AttachmentRecord> record;
  host.live().read([&](const ipam::Transaction& store) { record = store.find_attachment(key); });
  return record;
}

}  // namespace

nlohmann::json network_capabilities(const nlohmann::json&) {
  return {{"Scope", "local"}, {"ConnectivityScope", "local"}, {"GwAllocChecker", true}};
}

nlohmann::json check_gateway_allocation(const nlohmann::json&) {
  return {{"SkipIPv4", false}, {"SkipIPv6", false}};
}

nlohmann::json create_network(const nlohmann::json& document) {
  const NetworkDefinition definition = read_definition(cni::ConfigReader(document, "CreateNetwork"));
  // What bridge would refuse for every container is refused now.
  frontdoor::Endpoint nobody;
  nobody.container_id = definition.id;
  nobody.netns = "/";
  (void)bridge::read_request(
      frontdoor::make_invocation(nobody, cni::Command::kAdd, definition.configuration));
  engine::Host host = engine::Host::open();
  keep_definition(host, definition);
  return done();
}

/// Docker deletes a network only when it knows of no endpoint in it: what is left is of endpoints that it lost.
nlohmann::json delete_network(const nlohmann::json& document) {
  const cni::ConfigReader call(document, "DeleteNetwork");
  engine::Host host = engine::Host::open();
  const auto definition = find_definition(host, required(call, "NetworkID"));
  if (!definition) return done();
  std::vector<ipam::AttachmentRecord> left;
  host.live().write([&](ipam::Transaction& store) {
    left = store.list_attachments(definition->name);
    for (const EndpointRecord& endpoint : list_endpoints(store)) {
      if (endpoint.network == definition->id) erase_endpoint(store, endpoint.id);
    }
  });
  for (const ipam::AttachmentRecord& record : left) {
    if (record.runtime == kRuntime) detach_all(host, record.key);
  }
  engine::remove_network_if_unused(host, definition->name);
  forget_definition(host, definition->id);
  forget_released_pools(host);
  return done();
}

nlohmann::json create_endpoint(const nlohmann::json& document) {
  const cni::ConfigReader call(document, "CreateEndpoint");
  engine::Host host = engine::Host::open();
  const NetworkDefinition network = must_find_network(host, required(call, "NetworkID"));
  const std::string id = required(call, "EndpointID");
  const auto interface = call.object("Interface");
  if (!interface) call.complain("Interface", "is missing");
  const std::vector<ipam::LeaseRecord> leases = addresses_of(network, *interface);
  std::vector<IpPrefix> addresses;
  for (const ipam::LeaseRecord& lease : leases) addresses.push_back(lease.address);
  EndpointRecord endpoint{id, network.id, interface->json()};
  nlohmann::json answer = nlohmann::json::object();
  // What was given must not be given back.
  if (!interface->mac("MacAddress")) {
    const std::string mac = engine::container_mac(key_of(network, id), addresses).to_string();
    endpoint.interface["MacAddress"] = answer["MacAddress"] = mac;
  }
  const cni::ConfigReader reader(endpoint.interface, "Interface");
  (void)request_of(network, invocation_of(network, id, "/", reader), reader);
  host.live().write([&](ipam::Transaction& store) { put_endpoint(store, endpoint); });
  return {{"Interface", answer}};
}

nlohmann::json delete_endpoint(const nlohmann::json& document) {
  const cni::ConfigReader call(document, "DeleteEndpoint");
  engine::Host host = engine::Host::open();
  const std::string id = required(call, "EndpointID");
  if (const auto network = find_definition(host, required(call, "NetworkID")))
    detach_all(host, key_of(*network, id));
  host.live().write([&](ipam::Transaction& store) { erase_endpoint(store, id); });
  return done();
}

nlohmann::json endpoint_information(const nlohmann::json& document) {
  const cni::ConfigReader call(document, "EndpointOperInfo");
  engine::Host host = engine::Host::open();
  const NetworkDefinition network = must_find_network(host, required(call, "NetworkID"));
  nlohmann::json value = nlohmann::json::object();
  if (const auto record = find_record(host, key_of(network, required(call, "EndpointID")))) {
    value["io.netctl.host_interface"] = record->host_ifname;
    value["io.netctl.bridge"] = record->bridge;
  }
  return {{"Value", value}};
}

nlohmann::json join(const nlohmann::json& document) {
  const cni::ConfigReader call(document, "Join");
  engine::Host host = engine::Host::open();
  const NetworkDefinition network = must_find_network(host, required(call, "NetworkID"));
  const std::string id = required(call, "EndpointID");
  const EndpointRecord endpoint = must_find_endpoint(host, id);
  const cni::ConfigReader interface(endpoint.interface, "Interface");
  const cni::Invocation invocation = invocation_of(network, id, required(call, "SandboxKey"), interface);
  const engine::AttachmentRequest request = request_of(network, invocation, interface);
  // A Join whose answer never arrived comes again; Docker has not taken that link.
  if (find_record(host, request.key)) detach_all(host, request.key);
  UndoStack undo([](const std::string& step, const std::string& reason) {
    engine::log_warning("could not " + step + ": " + reason + "; `netctl gc` will");
  });
  (void)engine::attach(host, request);
  undo.on_failure("take back a failed Join", [&] { detach_all(host, request.key); });
  let_pass(host, request);
  undo.commit();
  return join_answer(network, request);
}

/// Docker moves the interface back to the host after this, and then deletes the endpoint: the link stays until that.
nlohmann::json leave(const nlohmann::json& document) { return withdraw_ports(document); }

nlohmann::json publish_ports(const nlohmann::json& document) {
  const cni::ConfigReader call(document, "ProgramExternalConnectivity");
  engine::Host host = engine::Host::open();
  const NetworkDefinition network = must_find_network(host, required(call, "NetworkID"));
  engine::PublishRequest request;
  request.key = key_of(network, required(call, "EndpointID"));
  request.ports = ports_of(network, call);
  if (request.ports.empty() || network.internal) return done();
  const auto record = find_record(host, request.key);
  if (!record) {
    throw Error(ErrorCode::kUnknownContainer,
                engine::describe(request.key) + " is not attached; connect it again");
  }
  request.netns_path = record->netns_path;
  for (const ipam::LeaseRecord& lease : record->leases) request.targets.push_back(lease.address.address);
  (void)engine::publish(host, request);
  return done();
}

nlohmann::json withdraw_ports(const nlohmann::json& document) {
  const cni::ConfigReader call(document, "the call");
  engine::Host host = engine::Host::open();
  const std::string id = required(call, "EndpointID");
  if (const auto network = find_definition(host, required(call, "NetworkID"))) {
    engine::detach_part(host, key_of(*network, id), engine::kPublishPart);
  }
  return done();
}

void forget_unfinished(engine::Host& host) {
  ipam::Store* durable = host.durable_if_present();
  if (durable == nullptr) return;
  std::map<std::string, NetworkDefinition> networks;
  durable->read([&](const ipam::Transaction& store) {
    for (NetworkDefinition& network : list_definitions(store)) networks[network.id] = std::move(network);
  });
  host.live().write([&](ipam::Transaction& store) {
    for (const EndpointRecord& endpoint : list_endpoints(store)) {
      const auto network = networks.find(endpoint.network);
      const bool is_attached =
          network != networks.end() && store.find_attachment(key_of(network->second, endpoint.id));
      if (!is_attached) erase_endpoint(store, endpoint.id);
    }
  });
  forget_unclaimed_leases(host);
}

}  // namespace netctl::docker
