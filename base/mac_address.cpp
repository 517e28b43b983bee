#include "base/mac_address.hpp"

#include <charconv>

namespace netctl {

std::optional<MacAddress> MacAddress::parse(std::string_view text) {
  if (text.size() != 17) return std::nullopt;
  MacAddress mac;
  for (std::size_t i = 0; i < mac.bytes.size(); ++i) {
    const char* pair = text.data() + i * 3;
    const auto [end, failure] = std::from_chars(pair, pair + 2, mac.bytes[i], 16);
    if (failure != std::errc{} || end != pair + 2) return std::nullopt;
    if (i < 5 && pair[2] != ':' && pair[2] != '-') return std::nullopt;
  }
  return mac;
}

MacAddress MacAddress::from_hash(std::uint64_t hash) {
  MacAddress mac;
  mac.bytes[0] = 0x02;
  for (std::size_t i = 1; i < mac.bytes.size(); ++i) {
    mac.bytes[i] = static_cast<std::uint8_t>(hash & 0xff);
    hash >>= 8;
  }
  return mac;
}

std::string MacAddress::to_string() const {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : bytes) {
    if (!text.empty()) text += ':';
    text += kHex[byte >> 4];
    text += kHex[byte & 0xf];
  }
  return text;
}

}  // namespace netctl
