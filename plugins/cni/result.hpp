#pragma once
// The result of ADD as a value, in the newest version's terms; conversion to and from every older version.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/ip_address.hpp"

namespace netctl::cni {

struct Interface {
  std::string name;
  std::string mac;
  std::string sandbox;  ///< CNI_NETNS verbatim for interfaces in the container, empty for those of the host
  std::optional<std::uint32_t> mtu_bytes;
  std::string socket_path;
  std::string pci_id;
  bool operator==(const Interface&) const = default;
};

struct ResultIp {
  IpPrefix address;
  std::optional<IpAddress> gateway;
  std::optional<int>
      interface;  ///< index into Result::interfaces; absent or -1 in others' results is tolerated
  bool operator==(const ResultIp&) const = default;
};

struct ResultRoute {
  IpPrefix destination;
  std::optional<IpAddress> gateway;
  std::optional<std::uint32_t> mtu_bytes, advertised_mss_bytes, priority, table;
  std::optional<std::uint8_t> scope;
  bool operator==(const ResultRoute&) const = default;
};

struct Dns {
  std::vector<std::string> nameservers, search, options;
  std::string domain;
  [[nodiscard]] bool is_empty() const {
    return nameservers.empty() && search.empty() && options.empty() && domain.empty();
  }
  bool operator==(const Dns&) const = default;
};

struct Result {
  std::vector<Interface> interfaces;
  std::vector<ResultIp> ips;
  std::vector<ResultRoute> routes;
  Dns dns;
  nlohmann::json netctl;  ///< our own additions ("netctl": {...}); null = none. Left out below 1.0.0.
  bool operator==(const Result&) const = default;

  /// `version` must be supported. Keys that it does not know are left out; 0.1.0 and 0.2.0 take the first address of each
  /// family. Source: SPEC.md and spec-upgrades.md of each version.
  [[nodiscard]] nlohmann::json to_json(std::string_view version) const;
  /// A result without cniVersion has `version`. Errors: kDecode when it is not a result of that version.
  [[nodiscard]] static Result from_json(const nlohmann::json& json, std::string_view version);
  /// What a delegate printed for a configuration of `version`: a result that names a supported version is of that one (as
  /// libcni has it), whatever the configuration's is. Errors: kDecode.
  [[nodiscard]] static Result from_plugin(const nlohmann::json& json, std::string_view version);
};

/// "dst", "gw", "mtu", "advmss", "priority", "table", "scope" as in results and in `ipam.routes`. Errors: kInvalidConfig.
[[nodiscard]] ResultRoute parse_route(const nlohmann::json& json, const std::string& path);
/// "nameservers", "domain", "search", "options". Errors: kInvalidConfig.
[[nodiscard]] Dns parse_dns(const nlohmann::json& json, const std::string& path);

}  // namespace netctl::cni
