#include <algorithm>

#include "plugins/cni/result_internal.hpp"

namespace netctl::cni {
namespace {

std::string_view key_of(Family family) { return family == Family::kIpv4 ? "ip4" : "ip6"; }

void write_family(const Result& result, Family family, nlohmann::json& json) {
  const auto first = std::find_if(result.ips.begin(), result.ips.end(),
                                  [&](const ResultIp& ip) { return ip.address.address.family() == family; });
  if (first == result.ips.end()) return;
  nlohmann::json entry{{"ip", first->address.to_string()}};
  if (first->gateway) entry["gateway"] = first->gateway->to_string();
  for (const auto& route : result.routes) {
    if (route.destination.address.family() != family) continue;
    entry["routes"].push_back(to_json(route, RouteKeys::kDestinationAndGateway));
  }
  json[std::string(key_of(family))] = std::move(entry);
}

void read_family(const ConfigReader& reader, Family family, Result& result) {
  const auto entry = reader.object(key_of(family));
  if (!entry) return;
  const auto address = entry->prefix("ip");
  if (!address) entry->complain("ip", "is missing");
  if (address->address.family() != family) entry->complain("ip", "is an address of the other family");
  result.ips.push_back({*address, entry->address("gateway"), std::nullopt});
  entry->each_object("routes", [&](const ConfigReader& route) { result.routes.push_back(route_of(route)); });
}

}  // namespace

void write_families(const Result& result, nlohmann::json& json) {
  write_family(result, Family::kIpv4, json);
  write_family(result, Family::kIpv6, json);
}

Result read_families(const ConfigReader& reader) {
  Result result;
  read_family(reader, Family::kIpv4, result);
  read_family(reader, Family::kIpv6, result);
  return result;
}

}  // namespace netctl::cni
