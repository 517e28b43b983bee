#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace netctl::cni {

/// Every published version of the specification, oldest first: 0.1.0 0.2.0 0.3.0 0.3.1 0.4.0 1.0.0 1.1.0.
[[nodiscard]] const std::vector<std::string>& supported_versions();
[[nodiscard]] bool is_supported(std::string_view version);
/// Compares two supported versions by their place in the list.
[[nodiscard]] bool at_least(std::string_view version, std::string_view minimum);

inline constexpr std::string_view kNewestVersion = "1.1.0";
/// What a configuration without cniVersion means (libcni's DecodeVersion).
inline constexpr std::string_view kVersionWhenMissing = "0.1.0";

}  // namespace netctl::cni
