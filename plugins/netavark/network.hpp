#pragma once
// Podman's description of a network (netavark's plugin API 1.0.0), and what of it becomes a configuration of ours.

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/ip_address.hpp"
#include "plugins/cni/config_reader.hpp"

namespace netctl::netavark {

/// Drivers that this executable offers.
inline constexpr const char* kBridge = "bridge";
inline constexpr const char* kNone = "none";
inline constexpr const char* kContainerShare = "container-share";
inline constexpr const char* kOverlay = "overlay";

/// Which of ours a network asks for: podman's driver is the name that the executable is installed as ("netctl-bridge",
/// "netctl-none", "netctl-container-share", "netctl-overlay"); as plain "netctl" or "netctl-netavark" the network's option
/// `driver` says it (bridge). Errors: kUnsupportedField, kInvalidConfig.
[[nodiscard]] std::string driver_of(const cni::ConfigReader& network);

/// The overlay that a network of podman stands for (its option `network`): a name of the host's network configurations,
/// under which its attachments are recorded. Empty for the other drivers. Errors: none.
[[nodiscard]] std::string joined_overlay(const cni::ConfigReader& network);

/// Subnets that networks of podman have, whether in use or not; what cannot be read there has none.
[[nodiscard]] std::vector<IpPrefix> subnets_of_podman(const std::string& directory);

/// The network as podman shall remember it: bridge name, gateways, and a subnet by `choose_subnet` when none is named.
/// Everything that setup would refuse is refused here. Errors: kInvalidConfig, kUnsupportedField, those of choose_subnet.
using ChooseSubnet = std::function<IpPrefix()>;
[[nodiscard]] nlohmann::json complete(const nlohmann::json& network, const ChooseSubnet& choose_subnet);

/// The configuration of our plugin `driver_of(network)` for it, with `call`'s (netavark's setup document) per-container
/// wishes as runtimeConfig. Errors: kInvalidConfig, kUnsupportedField.
[[nodiscard]] nlohmann::json configuration_of(const cni::ConfigReader& network,
                                              const cni::ConfigReader& call);

}  // namespace netctl::netavark
