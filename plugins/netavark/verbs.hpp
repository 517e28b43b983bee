#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace netctl::netavark {

/// `create`: the network as podman shall remember it. Changes nothing. Errors: kInvalidConfig, kUnsupportedField.
[[nodiscard]] nlohmann::json create(const nlohmann::json& network);

/// `setup NETNS`: attaches; the answer is netavark's StatusBlock. A failure leaves nothing behind.
/// Errors: those of the driver.
[[nodiscard]] nlohmann::json setup(const nlohmann::json& document, const std::string& netns_path);

/// Takes a setup back whose answer could not be delivered.
void undo_setup(const nlohmann::json& call);

/// `teardown NETNS`: by the record; needs neither namespace nor a readable network. Idempotent.
void teardown(const nlohmann::json& document);

/// `info`.
[[nodiscard]] nlohmann::json info();

}  // namespace netctl::netavark
