#include "plugins/cni/result.hpp"

#include <limits>

#include "base/error.hpp"
#include "plugins/cni/config_reader.hpp"
#include "plugins/cni/json_text.hpp"
#include "plugins/cni/result_internal.hpp"
#include "plugins/cni/version.hpp"

namespace netctl::cni {
namespace {

// Versions of one shape read each other's results, as the reference's types/020, types/040 and types/100 do.
enum class Shape { kFamilies, kIpsWithVersion, kIps };

Shape shape_of(std::string_view version) {
  if (at_least(version, "1.0.0")) return Shape::kIps;
  return at_least(version, "0.3.0") ? Shape::kIpsWithVersion : Shape::kFamilies;
}

/// Numbers for which the reference takes 0 as "not given".
std::optional<std::uint32_t> nonzero(const ConfigReader& reader, std::string_view key) {
  const auto number = reader.integer(key, 0, std::numeric_limits<std::uint32_t>::max());
  if (!number || *number == 0) return std::nullopt;
  return static_cast<std::uint32_t>(*number);
}

nlohmann::json to_json(const Interface& interface, bool all_keys) {
  nlohmann::json json{{"name", interface.name}};
  if (!interface.mac.empty()) json["mac"] = interface.mac;
  if (!interface.sandbox.empty()) json["sandbox"] = interface.sandbox;
  if (!all_keys) return json;
  if (interface.mtu_bytes) json["mtu"] = *interface.mtu_bytes;
  if (!interface.socket_path.empty()) json["socketPath"] = interface.socket_path;
  if (!interface.pci_id.empty()) json["pciID"] = interface.pci_id;
  return json;
}

Interface interface_of(const ConfigReader& reader) {
  Interface interface;
  interface.name = reader.text("name").value_or("");
  interface.mac = reader.text("mac").value_or("");
  interface.sandbox = reader.text("sandbox").value_or("");
  interface.mtu_bytes = nonzero(reader, "mtu");
  interface.socket_path = reader.text("socketPath").value_or("");
  interface.pci_id = reader.text("pciID").value_or("");
  return interface;
}

nlohmann::json to_json(const ResultIp& ip, Shape shape) {
  nlohmann::json json{{"address", ip.address.to_string()}};
  if (shape == Shape::kIpsWithVersion) json["version"] = ip.address.address.is_v4() ? "4" : "6";
  if (ip.gateway) json["gateway"] = ip.gateway->to_string();
  if (ip.interface) json["interface"] = *ip.interface;
  return json;
}

ResultIp ip_of(const ConfigReader& reader, std::size_t interface_count) {
  const auto address = reader.prefix("address");
  if (!address) reader.complain("address", "is missing");
  ResultIp ip{*address, reader.address("gateway"), std::nullopt};
  const auto index =
      reader.integer("interface", std::numeric_limits<int>::min(), std::numeric_limits<int>::max());
  // An index that points nowhere says no more than none; whoever follows it need not check again.
  if (index && *index >= 0 && static_cast<std::size_t>(*index) < interface_count)
    ip.interface = static_cast<int>(*index);
  return ip;
}

Result read_lists(const ConfigReader& reader) {
  Result result;
  reader.each_object("interfaces",
                     [&](const ConfigReader& one) { result.interfaces.push_back(interface_of(one)); });
  reader.each_object(
      "ips", [&](const ConfigReader& one) { result.ips.push_back(ip_of(one, result.interfaces.size())); });
  reader.each_object("routes", [&](const ConfigReader& one) { result.routes.push_back(route_of(one)); });
  if (const auto ours = reader.object("netctl")) result.netctl = ours->json();
  return result;
}

void write_lists(const Result& result, std::string_view version, nlohmann::json& json) {
  const Shape shape = shape_of(version);
  const bool all_keys = at_least(version, "1.1.0");
  const RouteKeys route_keys = all_keys ? RouteKeys::kAll : RouteKeys::kDestinationAndGateway;
  for (const auto& interface : result.interfaces) json["interfaces"].push_back(to_json(interface, all_keys));
  for (const auto& ip : result.ips) json["ips"].push_back(to_json(ip, shape));
  for (const auto& route : result.routes) json["routes"].push_back(to_json(route, route_keys));
  if (shape == Shape::kIps && !result.netctl.is_null()) json["netctl"] = result.netctl;
}

void require_readable(const ConfigReader& reader, std::string_view version) {
  const std::string own = reader.text("cniVersion").value_or("");
  if (own.empty() || (is_supported(own) && shape_of(own) == shape_of(version))) return;
  throw Error(ErrorCode::kDecode, "the result has cniVersion \"" + shortened(own) + "\" where " +
                                      std::string(version) +
                                      " is expected: all plugins of a network share one version");
}

}  // namespace

nlohmann::json to_json(const ResultRoute& route, RouteKeys keys) {
  nlohmann::json json{{"dst", route.destination.to_string()}};
  if (route.gateway) json["gw"] = route.gateway->to_string();
  if (keys == RouteKeys::kDestinationAndGateway) return json;
  if (route.mtu_bytes) json["mtu"] = *route.mtu_bytes;
  if (route.advertised_mss_bytes) json["advmss"] = *route.advertised_mss_bytes;
  if (route.priority) json["priority"] = *route.priority;
  if (route.table) json["table"] = *route.table;
  if (route.scope) json["scope"] = *route.scope;
  return json;
}

ResultRoute route_of(const ConfigReader& reader) {
  const auto destination = reader.prefix("dst");
  if (!destination)
    reader.complain("dst", "is missing: name the destination of the route, such as 0.0.0.0/0");
  ResultRoute route;
  route.destination = *destination;
  route.gateway = reader.address("gw");
  route.mtu_bytes = nonzero(reader, "mtu");
  route.advertised_mss_bytes = nonzero(reader, "advmss");
  route.priority = nonzero(reader, "priority");
  if (const auto table = reader.integer("table", 0, std::numeric_limits<std::uint32_t>::max())) {
    route.table = static_cast<std::uint32_t>(*table);
  }
  if (const auto scope = reader.integer("scope", 0, std::numeric_limits<std::uint8_t>::max())) {
    route.scope = static_cast<std::uint8_t>(*scope);
  }
  return route;
}

nlohmann::json to_json(const Dns& dns) {
  nlohmann::json json = nlohmann::json::object();
  if (!dns.nameservers.empty()) json["nameservers"] = dns.nameservers;
  if (!dns.domain.empty()) json["domain"] = dns.domain;
  if (!dns.search.empty()) json["search"] = dns.search;
  if (!dns.options.empty()) json["options"] = dns.options;
  return json;
}

Dns dns_of(const ConfigReader& reader) {
  Dns dns;
  dns.nameservers = reader.texts("nameservers");
  dns.domain = reader.text("domain").value_or("");
  dns.search = reader.texts("search");
  dns.options = reader.texts("options");
  return dns;
}

ResultRoute parse_route(const nlohmann::json& json, const std::string& path) {
  return route_of(ConfigReader(json, path));
}

Dns parse_dns(const nlohmann::json& json, const std::string& path) {
  return dns_of(ConfigReader(json, path));
}

nlohmann::json Result::to_json(std::string_view version) const {
  if (!is_supported(version))
    throw Error(ErrorCode::kInternal, "no result has version " + std::string(version));
  nlohmann::json json{{"cniVersion", std::string(version)}};
  const Shape shape = shape_of(version);
  if (shape == Shape::kFamilies) {
    write_families(*this, json);
  } else {
    write_lists(*this, version, json);
  }
  // Readers of the old versions have always been given the key.
  if (shape != Shape::kIps || !dns.is_empty()) json["dns"] = cni::to_json(dns);
  return json;
}

Result Result::from_json(const nlohmann::json& json, std::string_view version) {
  if (!is_supported(version))
    throw Error(ErrorCode::kInternal, "no result has version " + std::string(version));
  if (!json.is_object())
    throw Error(ErrorCode::kDecode, "the result must be a JSON object", shortened(to_text(json)));
  try {
    const ConfigReader reader(json, "");
    require_readable(reader, version);
    Result result = shape_of(version) == Shape::kFamilies ? read_families(reader) : read_lists(reader);
    if (const auto dns = reader.object("dns")) result.dns = dns_of(*dns);
    return result;
  } catch (const Error& error) {
    throw Error(ErrorCode::kDecode, error.message(), error.details());
  }
}

Result Result::from_plugin(const nlohmann::json& json, std::string_view version) {
  const auto own = json.is_object() ? json.find("cniVersion") : json.end();
  const bool names_one = json.is_object() && own != json.end() && own->is_string() &&
                         is_supported(own->get_ref<const std::string&>());
  return from_json(json, names_one ? own->get<std::string>() : std::string(version));
}

}  // namespace netctl::cni
