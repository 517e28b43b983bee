#pragma once
// What Docker told of its endpoints, in the live store: an endpoint ends with the boot at the latest.

#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/ip_address.hpp"
#include "ipam/store.hpp"

namespace netctl::docker {

struct EndpointRecord {
  std::string id;
  std::string network;       ///< Docker's id of it
  nlohmann::json interface;  ///< as CreateEndpoint has it, with a MacAddress in any case
};

void put_endpoint(ipam::Transaction& live, const EndpointRecord& endpoint);
void erase_endpoint(ipam::Transaction& live, const std::string& id);  ///< erasing nothing is success
[[nodiscard]] std::optional<EndpointRecord> find_endpoint(const ipam::Transaction& live,
                                                          const std::string& id);
[[nodiscard]] std::vector<EndpointRecord> list_endpoints(const ipam::Transaction& live);

/// One of the endpoint's addresses.
[[nodiscard]] bool has_address(const EndpointRecord& endpoint, const IpAddress& address);

}  // namespace netctl::docker
