#pragma once
// The pieces of a result that its old and its new shape share.

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "plugins/cni/config_reader.hpp"
#include "plugins/cni/result.hpp"

namespace netctl::cni {

enum class RouteKeys { kDestinationAndGateway, kAll };

[[nodiscard]] ResultRoute route_of(const ConfigReader& reader);
[[nodiscard]] nlohmann::json to_json(const ResultRoute& route, RouteKeys keys);
[[nodiscard]] Dns dns_of(const ConfigReader& reader);
[[nodiscard]] nlohmann::json to_json(const Dns& dns);

/// The shape of 0.1.0 and 0.2.0: "ip4" and "ip6" with an address, a gateway and routes each; no interfaces.
void write_families(const Result& result, nlohmann::json& json);
[[nodiscard]] Result read_families(const ConfigReader& reader);

}  // namespace netctl::cni
