#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace netctl {

struct MacAddress {
  std::array<std::uint8_t, 6> bytes{};

  /// Six pairs of hex digits with ':' or '-' between them. nullopt when it is not that.
  [[nodiscard]] static std::optional<MacAddress> parse(std::string_view text);
  /// A locally administered unicast address made of the low 40 bits of `hash`: the same identity always has the same
  /// address, so that nobody's neighbour cache ever holds a wrong one.
  [[nodiscard]] static MacAddress from_hash(std::uint64_t hash);

  [[nodiscard]] bool is_multicast() const noexcept { return (bytes[0] & 1) != 0; }
  [[nodiscard]] std::string to_string() const;  ///< lower case, with ':'

  auto operator<=>(const MacAddress&) const = default;
};

}  // namespace netctl
