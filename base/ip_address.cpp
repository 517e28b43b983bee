#include "base/ip_address.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

#include "base/error.hpp"

namespace netctl {
namespace {

uint128 host_mask(const IpAddress& address, std::uint8_t prefix_length) {
  const unsigned host_bits = address.bits() - prefix_length;
  if (host_bits >= 128) return ~uint128{0};
  return (uint128{1} << host_bits) - 1;
}

}  // namespace

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  const std::string terminated(text);
  if (terminated.find('\0') != std::string::npos) return std::nullopt;
  IpAddress address;
  if (::inet_pton(AF_INET, terminated.c_str(), address.bytes_.data()) == 1) return address;
  address.family_ = Family::kIpv6;
  if (::inet_pton(AF_INET6, terminated.c_str(), address.bytes_.data()) == 1) return address;
  return std::nullopt;
}

IpAddress IpAddress::from_number(Family family, uint128 number) {
  IpAddress address;
  address.family_ = family;
  const std::size_t size = address.bits() / 8;
  for (std::size_t i = 0; i < size; ++i) {
    address.bytes_[size - 1 - i] = static_cast<std::uint8_t>(number & 0xff);
    number >>= 8;
  }
  return address;
}

IpAddress IpAddress::from_bytes(std::span<const std::uint8_t> bytes) {
  if (bytes.size() != 4 && bytes.size() != 16) {
    throw Error(ErrorCode::kInternal, "an IP address has 4 or 16 bytes, not " + std::to_string(bytes.size()));
  }
  IpAddress address;
  address.family_ = bytes.size() == 4 ? Family::kIpv4 : Family::kIpv6;
  std::copy(bytes.begin(), bytes.end(), address.bytes_.begin());
  return address;
}

bool IpAddress::is_loopback() const noexcept { return is_v4() ? bytes_[0] == 127 : number() == 1; }

std::uint8_t IpAddress::af() const noexcept { return is_v4() ? AF_INET : AF_INET6; }

uint128 IpAddress::number() const noexcept {
  uint128 value = 0;
  for (const std::uint8_t byte : bytes()) value = (value << 8) | byte;
  return value;
}

std::string IpAddress::to_string() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  return ::inet_ntop(af(), bytes_.data(), text.data(), text.size());
}

std::optional<IpPrefix> IpPrefix::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const std::optional<IpAddress> address = IpAddress::parse(text.substr(0, slash));
  const std::string_view digits = text.substr(slash + 1);
  unsigned length = 0;
  const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
  const bool plain_number =
      failure == std::errc{} && end == digits.data() + digits.size() && digits.size() <= 3;
  if (!address || !plain_number || length > address->bits()) return std::nullopt;
  return IpPrefix{*address, static_cast<std::uint8_t>(length)};
}

std::optional<IpPrefix> IpPrefix::parse_address_or_prefix(std::string_view text) {
  if (const std::optional<IpAddress> address = IpAddress::parse(text)) {
    return IpPrefix{*address, static_cast<std::uint8_t>(address->bits())};
  }
  return parse(text);
}

IpAddress IpPrefix::first() const {
  return IpAddress::from_number(address.family(), address.number() & ~host_mask(address, length));
}

IpAddress IpPrefix::last() const {
  return IpAddress::from_number(address.family(), address.number() | host_mask(address, length));
}

bool IpPrefix::contains(const IpAddress& other) const {
  return other.family() == address.family() &&
         (other.number() & ~host_mask(address, length)) == first().number();
}

std::string IpPrefix::to_string() const { return address.to_string() + "/" + std::to_string(length); }

}  // namespace netctl
