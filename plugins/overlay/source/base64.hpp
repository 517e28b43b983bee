#pragma once
// RFC 4648, section 4: how etcd's JSON gateway writes keys and values.

#include <optional>
#include <string>
#include <string_view>

namespace netctl::overlay {

[[nodiscard]] std::string to_base64(std::string_view bytes);
/// Strict: whole groups with their padding, no other characters, unused bits zero. nullopt when it is not that.
[[nodiscard]] std::optional<std::string> from_base64(std::string_view text);

}  // namespace netctl::overlay
