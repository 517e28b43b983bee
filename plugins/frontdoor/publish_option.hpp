#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace netctl::frontdoor {

/// "-p" as Docker has it: [HOSTIP:][HOST:]CONTAINER[/protocol]; HOST and CONTAINER may be ranges of equal length
/// ("8000-8010:80-90"); an IPv6 HOSTIP stands in brackets; without HOST a free port is chosen.
/// Returns the entries of runtimeConfig.portMappings. Errors: kInvalidConfig.
[[nodiscard]] std::vector<nlohmann::json> parse_publish(const std::string& text);

}  // namespace netctl::frontdoor
