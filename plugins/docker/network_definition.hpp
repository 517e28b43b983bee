#pragma once
// A network as Docker defines it once and never again: kept durable under Docker's id.

#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/ip_address.hpp"
#include "ipam/records.hpp"
#include "plugins/cni/config_reader.hpp"
#include "plugins/engine/host.hpp"

namespace netctl::docker {

struct Subnet {
  IpPrefix subnet;
  std::optional<IpAddress> gateway;
};

struct NetworkDefinition {
  std::string id;                ///< Docker's
  std::string name;              ///< ours: option io.netctl.name, else "docker-" and the beginning of the id
  nlohmann::json configuration;  ///< of the plugin `bridge`, without ipam and runtimeConfig
  std::vector<Subnet> subnets;
  bool internal = false;
  std::optional<IpAddress> host_binding;  ///< host address of ports that name none

  [[nodiscard]] nlohmann::json to_json() const;
  [[nodiscard]] static NetworkDefinition from_json(const std::string& id, const nlohmann::json& json);
};

/// A text that must be there: Docker's ids and keys. Errors: kInvalidConfig.
[[nodiscard]] std::string required(const cni::ConfigReader& call, std::string_view key);

/// "" counts as absent: Docker writes every key. Errors: kInvalidConfig.
[[nodiscard]] std::optional<IpPrefix> prefix_if_any(const cni::ConfigReader& call, std::string_view key);

/// CreateNetwork's document. Options of Docker's own bridge driver that can be honoured are, and unknown ones refused.
/// Errors: kInvalidConfig, kUnsupportedField.
[[nodiscard]] NetworkDefinition read_definition(const cni::ConfigReader& call);

/// Errors: kInvalidConfig when another network has the name, or a subnet that overlaps. The same one again is success.
void keep_definition(engine::Host& host, const NetworkDefinition& definition);

[[nodiscard]] std::optional<NetworkDefinition> find_definition(engine::Host& host, const std::string& id);
[[nodiscard]] std::vector<NetworkDefinition> list_definitions(const ipam::Transaction& durable);
void forget_definition(engine::Host& host, const std::string& id);  ///< forgetting nothing is success

}  // namespace netctl::docker
