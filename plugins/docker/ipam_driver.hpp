#pragma once
// Docker's remote IPAM driver (libnetwork, docs/ipam.md). Pools, gateways and auxiliary addresses are durable: Docker asks
// for them once and never again, also not after a reboot. Addresses of containers live as long as the boot.

#include <nlohmann/json.hpp>

#include "plugins/engine/host.hpp"

namespace netctl::docker {

[[nodiscard]] nlohmann::json ipam_capabilities(const nlohmann::json& document);
[[nodiscard]] nlohmann::json address_spaces(const nlohmann::json& document);
/// Errors: kSubnetUnavailable when the pool overlaps another one, kInvalidConfig.
[[nodiscard]] nlohmann::json request_pool(const nlohmann::json& document);
[[nodiscard]] nlohmann::json release_pool(const nlohmann::json& document);
/// Errors: kNoFreeAddress, kAddressTaken, kInvalidConfig.
[[nodiscard]] nlohmann::json request_address(const nlohmann::json& document);
[[nodiscard]] nlohmann::json release_address(const nlohmann::json& document);

/// Docker releases the pool first and deletes its network afterwards; until then the pool stays.
void forget_released_pools(engine::Host& host);

/// Addresses that were asked for by a Docker that died before it made an endpoint of them.
void forget_unclaimed_leases(engine::Host& host);

}  // namespace netctl::docker
