#pragma once
// JSON from and to text, safe against what strangers send.

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/error.hpp"

namespace netctl::cni {

inline constexpr std::size_t kJsonDepthLimit = 64;

/// Of two equal keys the last one counts. `what` names the text for the user ("the network configuration on stdin").
/// Errors: kDecode when it is not one JSON document or nested deeper than kJsonDepthLimit.
[[nodiscard]] nlohmann::json parse_json(std::string_view text, std::string_view what);

/// The places of keys that come twice in one object, as "args/cni/mac", lists left out. For text that parse_json() took; it
/// is read once more, which is why only who cares asks.
[[nodiscard]] std::vector<std::string> find_repeated_keys(std::string_view text);

/// One line. Bytes that are not UTF-8 (a path may have them) become U+FFFD.
[[nodiscard]] std::string to_text(const nlohmann::json& json, int indent = -1);

/// The beginning of a text, for an error's details.
[[nodiscard]] std::string shortened(std::string text, std::size_t limit = 200);

}  // namespace netctl::cni
