#pragma once
// Stable 128-bit names for strings of any length (XXH3). Not cryptographic: wherever a hash is a key, the full string
// stands in the value and is compared.

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

namespace netctl {

struct Hash128 {
  std::array<std::uint8_t, 16> bytes{};  ///< big-endian, the same on every machine

  [[nodiscard]] std::uint64_t high() const noexcept;
  /// The first `digits` (at most 32) lower-case hex digits.
  [[nodiscard]] std::string hex(std::size_t digits = 32) const;
  auto operator<=>(const Hash128&) const = default;
};

/// Hash of the parts; ("a","bc") and ("ab","c") differ.
[[nodiscard]] Hash128 hash_parts(std::initializer_list<std::string_view> parts);

/// 64-bit checksum of a record as it is stored.
[[nodiscard]] std::uint64_t checksum(std::span<const std::uint8_t> bytes);

}  // namespace netctl
