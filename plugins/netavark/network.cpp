#include "plugins/netavark/network.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <span>

#include "base/error.hpp"
#include "ipam/pool.hpp"
#include "plugins/cni/names.hpp"
#include "plugins/frontdoor/conf.hpp"

namespace netctl::netavark {
namespace {

namespace fs = std::filesystem;

constexpr const char* kDataDirectory = "podman";  // names the pool, together with the network
constexpr std::string_view kBridgeOptions[] = {"driver", "mtu", "isolate", "no_default_route"};
constexpr std::string_view kNoneOptions[] = {"driver"};
constexpr std::string_view kOverlayOptions[] = {"driver", "network"};
constexpr std::string_view kShareOptions[] = {"driver", "share", "on_owner_exit", "allow_host"};

std::string option(const cni::ConfigReader& network, std::string_view name) {
  const auto options = network.object("options");
  return options ? options->text(name).value_or("") : "";
}

bool is_true(const cni::ConfigReader& network, std::string_view name) {
  const std::string value = option(network, name);
  if (value.empty() || value == "false" || value == "0") return false;
  if (value == "true" || value == "1") return true;
  throw Error(ErrorCode::kInvalidConfig, "the option " + std::string(name) + " must be true or false", value);
}

std::span<const std::string_view> options_of(const std::string& driver) {
  if (driver == kContainerShare) return kShareOptions;
  if (driver == kNone) return kNoneOptions;
  if (driver == kOverlay) return kOverlayOptions;
  return kBridgeOptions;
}

void refuse_unknown_options(const cni::ConfigReader& network) {
  const auto options = network.object("options");
  if (!options) return;
  const std::span<const std::string_view> known = options_of(driver_of(network));
  std::string names;
  for (const std::string_view name : known) names += (names.empty() ? "" : ", ") + std::string(name);
  for (const auto& [name, value] : options->json().items()) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    throw Error(ErrorCode::kUnsupportedField, "the option " + name + " is not offered; known are " + names,
                name);
  }
}

/// `podman run --network NAME:share=web`.
std::string share_wish(const cni::ConfigReader& call) {
  const auto wishes = call.object("network_options");
  const auto options = wishes ? wishes->object("options") : std::nullopt;
  return options ? options->text("share").value_or("") : "";
}

void refuse_container_options(const cni::ConfigReader& call, const std::string& driver) {
  const auto wishes = call.object("network_options");
  const auto options = wishes ? wishes->object("options") : std::nullopt;
  if (!options) return;
  for (const auto& [name, value] : options->json().items()) {
    if (driver == kContainerShare && name == "share") continue;
    throw Error(ErrorCode::kUnsupportedField,
                "the container's option " + name + " is not offered on this network", name);
  }
}

nlohmann::json share_configuration(const cni::ConfigReader& network, const std::string& wish) {
  nlohmann::json own{{"share", wish.empty() ? option(network, "share") : wish},
                     {"allowHost", is_true(network, "allow_host")}};
  const std::string exit = option(network, "on_owner_exit");
  if (!exit.empty() && exit != "keep" && exit != "release") {
    throw Error(ErrorCode::kInvalidConfig, "the option on_owner_exit must be keep or release", exit);
  }
  if (!exit.empty()) own["onOwnerExit"] = exit;
  return {{"netctl", std::move(own)}};
}

std::string ipam_driver(const cni::ConfigReader& network) {
  const auto ipam = network.object("ipam_options");
  std::string driver = ipam ? ipam->text("driver").value_or("") : "";
  if (driver.empty() || driver == "host-local" || driver == "none") return driver;
  throw Error(ErrorCode::kUnsupportedField,
              "the ipam driver " + driver + " is not offered; use host-local or none", driver);
}

bool isolates(const cni::ConfigReader& network) {
  return option(network, "isolate") == "strict" || is_true(network, "isolate");
}

std::int64_t mtu_of(const cni::ConfigReader& network) {
  constexpr std::size_t kDigits = 5;
  const std::string text = option(network, "mtu");
  if (text.empty()) return 0;
  if (text.size() > kDigits || text.find_first_not_of("0123456789") != std::string::npos) {
    throw Error(ErrorCode::kInvalidConfig, "the option mtu must be a number of bytes", text);
  }
  return std::stol(text);
}

nlohmann::json ranges_of(const cni::ConfigReader& network) {
  nlohmann::json ranges = nlohmann::json::array();
  network.each_object("subnets", [&](const cni::ConfigReader& subnet) {
    const auto prefix = subnet.prefix("subnet");
    if (!prefix) subnet.complain("subnet", "is missing");
    nlohmann::json range{{"subnet", prefix->to_string()}};
    if (const auto gateway = subnet.address("gateway")) range["gateway"] = gateway->to_string();
    ranges.push_back(nlohmann::json::array({range}));
  });
  return ranges;
}

nlohmann::json routes_of(const cni::ConfigReader& network) {
  nlohmann::json routes = nlohmann::json::array();
  network.each_object("routes", [&](const cni::ConfigReader& route) {
    const auto destination = route.prefix("destination");
    if (!destination) route.complain("destination", "is missing");
    nlohmann::json made{{"dst", destination->to_string()}};
    if (const auto gateway = route.address("gateway")) made["gw"] = gateway->to_string();
    if (const auto metric = route.integer("metric", 0, UINT32_MAX)) made["priority"] = *metric;
    routes.push_back(made);
  });
  return routes;
}

/// Podman's mapping -> the one of the CNI conventions.
nlohmann::json ports_of(const cni::ConfigReader& call) {
  nlohmann::json ports = nlohmann::json::array();
  call.each_object("port_mappings", [&](const cni::ConfigReader& mapping) {
    nlohmann::json made = nlohmann::json::object();
    for (const auto& [theirs, ours] : std::map<std::string, std::string>{{"container_port", "containerPort"},
                                                                         {"host_port", "hostPort"},
                                                                         {"host_ip", "hostIP"},
                                                                         {"protocol", "protocol"},
                                                                         {"range", "range"}}) {
      if (const nlohmann::json* value = mapping.raw(theirs)) made[ours] = *value;
    }
    ports.push_back(made);
  });
  return ports;
}

nlohmann::json runtime_config_of(const cni::ConfigReader& call) {
  nlohmann::json runtime = nlohmann::json::object();
  nlohmann::json ports = ports_of(call);
  if (!ports.empty()) runtime["portMappings"] = std::move(ports);
  const auto wishes = call.object("network_options");
  if (!wishes) return runtime;
  const std::vector<std::string> ips = wishes->texts("static_ips");
  if (!ips.empty()) runtime["ips"] = ips;
  if (const auto mac = wishes->mac("static_mac")) runtime["mac"] = mac->to_string();
  const std::vector<std::string> aliases = wishes->texts("aliases");
  if (!aliases.empty()) runtime["aliases"] = aliases;
  return runtime;
}

nlohmann::json bridge_configuration(const cni::ConfigReader& network) {
  const bool internal = network.boolean("internal").value_or(false);
  nlohmann::json configuration{{"bridge", network.text("network_interface").value_or("")},
                               {"isGateway", true},
                               {"isDefaultGateway", !internal && !is_true(network, "no_default_route")},
                               {"ipMasq", !internal},
                               {"hairpinMode", true},
                               {"mtu", mtu_of(network)},
                               {"netctl", {{"internal", internal}, {"isolation", isolates(network)}}}};
  nlohmann::json ranges = ranges_of(network);
  if (ipam_driver(network) == "none" || ranges.empty()) {
    configuration["isGateway"] = configuration["isDefaultGateway"] = configuration["ipMasq"] = false;
    return configuration;
  }
  configuration["ipam"] = {
      {"type", "host-local"}, {"dataDir", kDataDirectory}, {"ranges", std::move(ranges)}};
  nlohmann::json routes = routes_of(network);
  if (!routes.empty()) configuration["ipam"]["routes"] = std::move(routes);
  return configuration;
}

/// An overlay has more to say than podman has options for, and all its hosts have to say the same: it stands in a
/// configuration file, as for all other runtimes.
nlohmann::json overlay_configuration(const cni::ConfigReader& network) {
  const std::string name = joined_overlay(network);
  if (name.empty()) {
    throw Error(ErrorCode::kInvalidConfig,
                "say which overlay the network stands for, as `-o network=NAME`: the name in a file of " +
                    frontdoor::conf_directory());
  }
  const frontdoor::NetworkConf conf = frontdoor::find_network_conf(name);
  if (conf.driver() != kOverlay || conf.plugins.size() != 1) {
    throw Error(ErrorCode::kInvalidConfig,
                "network " + name + " in " + conf.file +
                    " must have the one plugin overlay, which publishes ports by itself");
  }
  nlohmann::json configuration = conf.plugins.front();
  configuration.erase("capabilities");
  return configuration;
}

/// "br-" and the beginning of the id, as people know it from Docker.
std::string bridge_name(const cni::ConfigReader& network) {
  constexpr std::size_t kDigits = 12;
  const std::string id = network.text("id").value_or("");
  if (id.size() < kDigits || id.find_first_not_of("0123456789abcdef") != std::string::npos) {
    network.complain("id", "must be hexadecimal, at least 12 digits, as podman writes it");
  }
  return "br-" + id.substr(0, kDigits);
}

void fill_subnets(nlohmann::json& network, const cni::ConfigReader& reader,
                  const ChooseSubnet& choose_subnet) {
  const bool has_v6 = [&] {
    bool found = false;
    reader.each_object("subnets", [&](const cni::ConfigReader& subnet) {
      const auto prefix = subnet.prefix("subnet");
      found = found || (prefix && !prefix->address.is_v4());
    });
    return found;
  }();
  if (reader.boolean("ipv6_enabled").value_or(false) && !has_v6) {
    throw Error(ErrorCode::kInvalidConfig,
                "an IPv6 subnet is not chosen automatically; name one with --subnet (and one for IPv4)");
  }
  const nlohmann::json ranges = ranges_of(reader);
  if (ranges.empty()) {
    const IpPrefix chosen = choose_subnet();
    network["subnets"] = nlohmann::json::array({{{"subnet", chosen.to_string()}}});
  }
  for (nlohmann::json& subnet : network["subnets"]) {
    const cni::ConfigReader own(subnet, "subnet");
    const ipam::Range range =
        ipam::resolve_range({own.prefix("subnet").value(), {}, {}, own.address("gateway")});
    if (range.gateway) subnet["gateway"] = range.gateway->to_string();
  }
}

}  // namespace

std::string driver_of(const cni::ConfigReader& network) {
  constexpr std::string_view kPrefix = "netctl-";
  const std::string installed = network.text("driver").value_or("");
  std::string driver = installed;
  if (installed == "netctl" || installed == "netctl-netavark") {
    driver = option(network, "driver");
    if (driver.empty()) driver = kBridge;
  } else if (installed.rfind(kPrefix, 0) == 0) {
    driver = installed.substr(kPrefix.size());
  }
  for (const char* known : {kBridge, kNone, kContainerShare, kOverlay}) {
    if (driver == known) return driver;
  }
  throw Error(
      ErrorCode::kUnsupportedField,
      "the driver \"" + driver +
          "\" is not offered to podman; use bridge, container-share, overlay or none, as `-d netctl-bridge` "
          "or `-d netctl -o driver=bridge`",
      driver);
}

std::string joined_overlay(const cni::ConfigReader& network) { return option(network, "network"); }

std::vector<IpPrefix> subnets_of_podman(const std::string& directory) {
  std::vector<IpPrefix> subnets;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory, ignored)) {
    if (entry.path().extension() != ".json" || !entry.is_regular_file(ignored)) continue;
    try {
      std::ifstream stream(entry.path());
      const nlohmann::json network = nlohmann::json::parse(stream);
      cni::ConfigReader(network, "").each_object("subnets", [&](const cni::ConfigReader& subnet) {
        if (const auto prefix = subnet.prefix("subnet")) subnets.push_back(prefix->network());
      });
    } catch (const std::exception&) {
      continue;  // not a network of podman's: it has no subnet to stay clear of
    }
  }
  return subnets;
}

nlohmann::json complete(const nlohmann::json& network, const ChooseSubnet& choose_subnet) {
  nlohmann::json completed = network;
  const cni::ConfigReader reader(network, "network");
  refuse_unknown_options(reader);
  completed["dns_enabled"] = false;  // there is no name service behind it
  const std::string driver = driver_of(reader);
  if (driver != kBridge) {
    if (!ranges_of(reader).empty()) {
      throw Error(ErrorCode::kInvalidConfig,
                  "a network of the driver " + driver + " has no subnet; leave --subnet out");
    }
    if (driver == kContainerShare) (void)share_configuration(reader, "");
    if (driver == kOverlay) (void)overlay_configuration(reader);
    completed["ipam_options"] = {{"driver", "none"}};
    return completed;
  }
  if (reader.text("network_interface").value_or("").empty())
    completed["network_interface"] = bridge_name(reader);
  if (ipam_driver(reader) != "none") fill_subnets(completed, reader, choose_subnet);
  const cni::ConfigReader result(completed, "network");
  (void)bridge_configuration(result);
  return completed;
}

nlohmann::json configuration_of(const cni::ConfigReader& network, const cni::ConfigReader& call) {
  refuse_unknown_options(network);
  const std::string driver = driver_of(network);
  refuse_container_options(call, driver);
  nlohmann::json configuration = nlohmann::json::object();
  if (driver == kBridge) configuration = bridge_configuration(network);
  if (driver == kContainerShare) configuration = share_configuration(network, share_wish(call));
  if (driver == kOverlay) configuration = overlay_configuration(network);
  configuration["cniVersion"] = "1.1.0";
  configuration["name"] = driver == kOverlay ? joined_overlay(network) : network.text("name").value_or("");
  configuration["type"] = driver;
  nlohmann::json runtime = runtime_config_of(call);
  if (driver == kNone && runtime.contains("portMappings")) {
    throw Error(ErrorCode::kInvalidConfig,
                "a container of the driver none cannot publish ports; leave -p out");
  }
  if (!runtime.empty()) configuration["runtimeConfig"] = std::move(runtime);
  if (const auto name = call.text("container_name"); name && !name->empty()) {
    configuration["args"]["cni"]["labels"] = nlohmann::json::array({{{"key", "name"}, {"value", *name}}});
  }
  return configuration;
}

}  // namespace netctl::netavark
