#pragma once
// Docker's remote network driver (libnetwork, docs/remote.md): one function a call, document in, document out. Each may come
// again after the daemon or Docker was killed, and after a restart Docker tells nothing again.
// Errors of all: kInvalidConfig for a document that lacks something; those of the engine.

#include <nlohmann/json.hpp>

#include "plugins/engine/host.hpp"

namespace netctl::docker {

[[nodiscard]] nlohmann::json network_capabilities(const nlohmann::json& document);
[[nodiscard]] nlohmann::json check_gateway_allocation(const nlohmann::json& document);
[[nodiscard]] nlohmann::json create_network(const nlohmann::json& document);
[[nodiscard]] nlohmann::json delete_network(const nlohmann::json& document);
[[nodiscard]] nlohmann::json create_endpoint(const nlohmann::json& document);
[[nodiscard]] nlohmann::json delete_endpoint(const nlohmann::json& document);
[[nodiscard]] nlohmann::json endpoint_information(const nlohmann::json& document);
/// Makes the link with both ends in the host's namespace; Docker takes the one that is named in the answer.
[[nodiscard]] nlohmann::json join(const nlohmann::json& document);
[[nodiscard]] nlohmann::json leave(const nlohmann::json& document);
[[nodiscard]] nlohmann::json publish_ports(const nlohmann::json& document);
[[nodiscard]] nlohmann::json withdraw_ports(const nlohmann::json& document);

/// For the moment when Docker starts: what it had begun and not finished died with it, and it will not come back to that.
void forget_unfinished(engine::Host& host);

}  // namespace netctl::docker
