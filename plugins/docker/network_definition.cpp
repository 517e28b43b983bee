#include "plugins/docker/network_definition.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "ipam/documents.hpp"
#include "plugins/frontdoor/conf.hpp"

namespace netctl::docker {
namespace {

constexpr const char* kKind = ipam::kDockerNetworks;
constexpr std::size_t kShortId = 12;

bool is_on(const cni::ConfigReader& options, std::string_view key, bool otherwise) {
  const std::string value = options.text(key).value_or("");
  if (value.empty()) return otherwise;
  if (value == "true" || value == "1") return true;
  if (value == "false" || value == "0") return false;
  options.complain(key, "must be true or false");
}

std::int64_t number(const cni::ConfigReader& options, std::string_view key) {
  constexpr std::size_t kDigits = 5;
  const std::string value = options.text(key).value_or("");
  if (value.empty()) return 0;
  if (value.size() > kDigits || value.find_first_not_of("0123456789") != std::string::npos)
    options.complain(key, "must be a number of bytes");
  return std::stol(value);
}

void read_options(const cni::ConfigReader& options, NetworkDefinition& definition) {
  const auto unknown = options.unknown_keys(
      {"io.netctl.name", "io.netctl.isolation", "com.docker.network.bridge.name",
       "com.docker.network.bridge.enable_icc", "com.docker.network.bridge.enable_ip_masquerade",
       "com.docker.network.bridge.host_binding_ipv4", "com.docker.network.driver.mtu"});
  if (!unknown.empty()) {
    throw Error(ErrorCode::kUnsupportedField,
                "the option " + unknown.front() + " is not offered; see the README for those that are",
                unknown.front());
  }
  const std::string short_id = definition.id.substr(0, kShortId);
  definition.name = options.text("io.netctl.name").value_or("docker-" + short_id);
  definition.host_binding = options.address("com.docker.network.bridge.host_binding_ipv4");
  const bool masquerade = is_on(options, "com.docker.network.bridge.enable_ip_masquerade", true);
  definition.configuration = {
      {"cniVersion", "1.1.0"},
      {"name", definition.name},
      {"type", "bridge"},
      {"bridge", options.text("com.docker.network.bridge.name").value_or("br-" + short_id)},
      {"isGateway", true},
      {"isDefaultGateway", !definition.internal},
      {"ipMasq", masquerade && !definition.internal},
      {"hairpinMode", true},
      {"portIsolation", !is_on(options, "com.docker.network.bridge.enable_icc", true)},
      {"mtu", number(options, "com.docker.network.driver.mtu")},
      {"netctl",
       {{"internal", definition.internal}, {"isolation", is_on(options, "io.netctl.isolation", true)}}}};
}

void read_subnets(const cni::ConfigReader& call, std::string_view key, NetworkDefinition& definition) {
  call.each_object(key, [&](const cni::ConfigReader& data) {
    const auto pool = prefix_if_any(data, "Pool");
    if (!pool) data.complain("Pool", "is missing");
    Subnet subnet{pool->network(), std::nullopt};
    const std::string gateway = data.text("Gateway").value_or("");
    if (!gateway.empty()) {
      const auto parsed = IpPrefix::parse_address_or_prefix(gateway);
      if (!parsed) data.complain("Gateway", "is no address");
      subnet.gateway = parsed->address;
    }
    definition.subnets.push_back(subnet);
  });
}

void refuse_conflict(const NetworkDefinition& wanted, const NetworkDefinition& present) {
  if (wanted.name == present.name) {
    throw Error(ErrorCode::kInvalidConfig,
                "there is a network of Docker's called " + wanted.name + " already");
  }
  if (wanted.configuration.at("bridge") == present.configuration.at("bridge")) {
    throw Error(ErrorCode::kInvalidConfig, "network " + present.name + " has the bridge " +
                                               present.configuration.at("bridge").get<std::string>() +
                                               " already");
  }
  for (const Subnet& mine : wanted.subnets) {
    for (const Subnet& theirs : present.subnets) {
      if (!mine.subnet.overlaps(theirs.subnet)) continue;
      throw Error(ErrorCode::kSubnetUnavailable, "the subnet " + mine.subnet.to_string() + " overlaps " +
                                                     theirs.subnet.to_string() + " of network " +
                                                     present.name);
    }
  }
}

/// Attachments are told apart by the network's name: one that runtimes know by a file, or that has containers, is another.
void refuse_foreign_name(engine::Host& host, const NetworkDefinition& wanted) {
  std::vector<std::string> complaints;
  const auto files = frontdoor::load_all(frontdoor::conf_directory(), complaints);
  bool taken = std::any_of(files.begin(), files.end(), [&wanted](const frontdoor::NetworkConf& conf) {
    return conf.name == wanted.name;
  });
  host.live().read([&](const ipam::Transaction& store) {
    taken = taken || store.find_network(wanted.name) || store.has_attachments(wanted.name);
  });
  if (!taken) return;
  throw Error(ErrorCode::kInvalidConfig,
              "there is a network called " + wanted.name +
                  " already, which is not Docker's; choose another io.netctl.name");
}

}  // namespace

nlohmann::json NetworkDefinition::to_json() const {
  nlohmann::json list = nlohmann::json::array();
  for (const Subnet& subnet : subnets) {
    nlohmann::json entry{{"subnet", subnet.subnet.to_string()}};
    if (subnet.gateway) entry["gateway"] = subnet.gateway->to_string();
    list.push_back(std::move(entry));
  }
  nlohmann::json json{
      {"name", name}, {"configuration", configuration}, {"subnets", list}, {"internal", internal}};
  if (host_binding) json["hostBinding"] = host_binding->to_string();
  return json;
}

NetworkDefinition NetworkDefinition::from_json(const std::string& id, const nlohmann::json& json) {
  NetworkDefinition definition;
  const cni::ConfigReader reader(json, "the record of network " + id);
  definition.id = id;
  definition.name = required(reader, "name");
  definition.configuration = json.at("configuration");
  definition.internal = reader.boolean("internal").value_or(false);
  definition.host_binding = reader.address("hostBinding");
  reader.each_object("subnets", [&](const cni::ConfigReader& entry) {
    definition.subnets.push_back({entry.prefix("subnet").value(), entry.address("gateway")});
  });
  return definition;
}

std::string required(const cni::ConfigReader& call, std::string_view key) {
  std::string text = call.text(key).value_or("");
  if (text.empty()) call.complain(key, "is missing");
  return text;
}

std::optional<IpPrefix> prefix_if_any(const cni::ConfigReader& call, std::string_view key) {
  if (call.text(key).value_or("").empty()) return std::nullopt;
  return call.prefix(key);
}

NetworkDefinition read_definition(const cni::ConfigReader& call) {
  NetworkDefinition definition;
  definition.id = required(call, "NetworkID");
  if (definition.id.size() < kShortId ||
      definition.id.find_first_not_of("0123456789abcdefghijklmnopqrstuvwxyz") != std::string::npos) {
    call.complain("NetworkID", "must be 12 letters and digits or more, as Docker writes it");
  }
  static const nlohmann::json kNone = nlohmann::json::object();
  const auto options = call.object("Options");
  definition.internal = options && options->boolean("com.docker.network.internal").value_or(false);
  const auto generic = options ? options->object("com.docker.network.generic") : std::nullopt;
  read_options(generic ? *generic : cni::ConfigReader(kNone, "Options"), definition);
  read_subnets(call, "IPv4Data", definition);
  read_subnets(call, "IPv6Data", definition);
  if (definition.subnets.empty())
    call.complain("IPv4Data", "is missing: a network without a subnet is not offered");
  return definition;
}

void keep_definition(engine::Host& host, const NetworkDefinition& definition) {
  if (!find_definition(host, definition.id)) refuse_foreign_name(host, definition);
  host.durable().write([&](ipam::Transaction& store) {
    for (const NetworkDefinition& present : list_definitions(store)) {
      if (present.id != definition.id) refuse_conflict(definition, present);
    }
    ipam::put_document(store, kKind, definition.id, definition.to_json());
  });
}

std::optional<NetworkDefinition> find_definition(engine::Host& host, const std::string& id) {
  std::optional<nlohmann::json> json;
  if (ipam::Store* durable = host.durable_if_present()) {
    durable->read([&](const ipam::Transaction& store) { json = ipam::find_document(store, kKind, id); });
  }
  return json ? std::optional(NetworkDefinition::from_json(id, *json)) : std::nullopt;
}

std::vector<NetworkDefinition> list_definitions(const ipam::Transaction& durable) {
  std::vector<NetworkDefinition> definitions;
  for (const auto& [id, json] : ipam::list_documents(durable, kKind)) {
    definitions.push_back(NetworkDefinition::from_json(id, json));
  }
  return definitions;
}

void forget_definition(engine::Host& host, const std::string& id) {
  host.durable().write([&](ipam::Transaction& store) { ipam::erase_document(store, kKind, id); });
}

}  // namespace netctl::docker
