#include "base/hash.hpp"

#define XXH_INLINE_ALL
#include <cstring>

#include <xxhash.h>

namespace netctl {

std::uint64_t Hash128::high() const noexcept {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 8; ++i) value = (value << 8) | bytes[i];
  return value;
}

std::string Hash128::hex(std::size_t digits) const {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : bytes) {
    text += kHex[byte >> 4];
    text += kHex[byte & 0xf];
  }
  return text.substr(0, digits);
}

Hash128 hash_parts(std::initializer_list<std::string_view> parts) {
  std::string joined;
  for (const std::string_view part : parts) {
    joined += std::to_string(part.size());
    joined += ':';
    joined += part;
  }
  const XXH128_hash_t hash = XXH3_128bits(joined.data(), joined.size());
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, hash);
  Hash128 result;
  std::memcpy(result.bytes.data(), canonical.digest, result.bytes.size());
  return result;
}

std::uint64_t checksum(std::span<const std::uint8_t> bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

}  // namespace netctl
