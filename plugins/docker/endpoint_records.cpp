#include "plugins/docker/endpoint_records.hpp"

#include "ipam/documents.hpp"

namespace netctl::docker {
namespace {

constexpr const char* kKind = "docker-endpoint";

EndpointRecord from_json(const std::string& id, const nlohmann::json& json) {
  return {id, json.at("network").get<std::string>(), json.at("interface")};
}

}  // namespace

void put_endpoint(ipam::Transaction& live, const EndpointRecord& endpoint) {
  ipam::put_document(live, kKind, endpoint.id,
                     {{"network", endpoint.network}, {"interface", endpoint.interface}});
}

void erase_endpoint(ipam::Transaction& live, const std::string& id) { ipam::erase_document(live, kKind, id); }

std::optional<EndpointRecord> find_endpoint(const ipam::Transaction& live, const std::string& id) {
  const auto json = ipam::find_document(live, kKind, id);
  if (!json) return std::nullopt;
  return from_json(id, *json);
}

std::vector<EndpointRecord> list_endpoints(const ipam::Transaction& live) {
  std::vector<EndpointRecord> endpoints;
  for (const auto& [id, json] : ipam::list_documents(live, kKind)) endpoints.push_back(from_json(id, json));
  return endpoints;
}

bool has_address(const EndpointRecord& endpoint, const IpAddress& address) {
  for (const char* key : {"Address", "AddressIPv6"}) {
    const auto prefix = IpPrefix::parse(endpoint.interface.value(key, ""));
    if (prefix && prefix->address == address) return true;
  }
  return false;
}

}  // namespace netctl::docker
