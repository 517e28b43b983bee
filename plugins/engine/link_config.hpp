#pragma once
// What the configurations of the executables that make a link have in common.

#include "plugins/cni/config_reader.hpp"
#include "plugins/engine/request.hpp"

namespace netctl::engine {

/// Identity, namespace, names, labels, `mtu`, `dns`, the MAC address of the runtime, and `ipam`. runtimeConfig.dns beats
/// `dns`, which beats what addressing says.
/// Errors: kInvalidConfig with the place of the key; kInvalidEnvironment (CNI_ARGS); kUnsupportedField: a key in `netctl`
/// that is not in `own_keys` (or "exclude", "description", "disableIPv6", which all of them know).
[[nodiscard]] AttachmentRequest read_link_request(const cni::Invocation& invocation,
                                                  const cni::RuntimeConfig& runtime,
                                                  const std::string& driver,
                                                  const std::vector<std::string_view>& own_keys);

/// A key that must be a unicast address. nullopt when absent or empty. Errors: kInvalidConfig.
[[nodiscard]] std::optional<MacAddress> read_unicast_mac(const cni::ConfigReader& config,
                                                         std::string_view key);

/// A key that must be the name of an interface. nullopt when absent or empty. Errors: kInvalidConfig.
[[nodiscard]] std::optional<std::string> read_interface_name(const cni::ConfigReader& config,
                                                             std::string_view key);

/// `ipMasqBackend`: either way it is nf_tables. Errors: kInvalidConfig.
void check_masquerade_backend(const cni::ConfigReader& config);

/// A list of addresses or CIDRs. Errors: kInvalidConfig.
[[nodiscard]] std::vector<IpPrefix> read_prefixes(const cni::ConfigReader& config, std::string_view key);

}  // namespace netctl::engine
