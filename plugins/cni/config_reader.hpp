#pragma once
// Typed access to configuration JSON. Every complaint names the place ("ipam.ranges[0][1].subnet") and what was expected.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/ip_address.hpp"
#include "base/mac_address.hpp"

namespace netctl::cni {

enum class KeyCase { kExact, kIgnore };

/// A JSON object at a path. null and absent are the same; keys of runtimeConfig match in any case (containerd writes
/// HostPort, podman hostPort).
/// Errors of all getters: kInvalidConfig when the value has another type or does not parse, or a string holds a NUL.
class ConfigReader {
 public:
  /// `object` must outlive the reader; null reads as an empty object. Errors: kInvalidConfig for anything else.
  ConfigReader(const nlohmann::json& object, std::string path, KeyCase key_case = KeyCase::kExact);

  [[nodiscard]] bool has(std::string_view key) const;
  [[nodiscard]] std::optional<std::string> text(std::string_view key) const;
  [[nodiscard]] std::optional<bool> boolean(std::string_view key) const;
  /// Whole numbers in [lowest, highest] only.
  [[nodiscard]] std::optional<std::int64_t> integer(std::string_view key, std::int64_t lowest,
                                                    std::int64_t highest) const;
  /// "" counts as absent, as it does to Go's net.IP.
  [[nodiscard]] std::optional<IpAddress> address(std::string_view key) const;
  [[nodiscard]] std::optional<IpPrefix> prefix(std::string_view key) const;
  /// "" counts as absent.
  [[nodiscard]] std::optional<MacAddress> mac(std::string_view key) const;
  [[nodiscard]] std::vector<std::string> texts(std::string_view key) const;
  [[nodiscard]] std::optional<ConfigReader> object(std::string_view key) const;
  /// Calls `visit` with a reader for each element of an array of objects.
  void each_object(std::string_view key, const std::function<void(const ConfigReader&)>& visit) const;
  /// The raw value; nullptr when absent or null.
  [[nodiscard]] const nlohmann::json* raw(std::string_view key) const;
  /// Names the keys that are not in `known`; for keys that are ours alone, where a misspelling would be silently lost.
  [[nodiscard]] std::vector<std::string> unknown_keys(const std::vector<std::string_view>& known) const;

  [[nodiscard]] const nlohmann::json& json() const { return *object_; }
  [[nodiscard]] std::string path_of(std::string_view key) const;
  /// kInvalidConfig "<path>.<key>: <problem>", the value in the details.
  [[noreturn]] void complain(std::string_view key, const std::string& problem) const;

 private:
  const nlohmann::json* object_;
  std::string path_;
  KeyCase key_case_;
};

}  // namespace netctl::cni
