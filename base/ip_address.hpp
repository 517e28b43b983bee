#pragma once
// Addresses and prefixes as values. Bytes are in network order; arithmetic is on the whole address as one number.

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace netctl {

__extension__ using uint128 = unsigned __int128;

enum class Family : std::uint8_t { kIpv4 = 4, kIpv6 = 6 };

class IpAddress {
 public:
  IpAddress() = default;  ///< 0.0.0.0

  /// Strict textual form (inet_pton; no zone, no prefix length). nullopt when it is not an address.
  [[nodiscard]] static std::optional<IpAddress> parse(std::string_view text);
  /// The address whose value as a number is `number` (only the low 32 bits count for IPv4).
  [[nodiscard]] static IpAddress from_number(Family family, uint128 number);
  /// `bytes` in network order: 4 bytes make an IPv4 address, 16 an IPv6 one. Anything else throws kInternal.
  [[nodiscard]] static IpAddress from_bytes(std::span<const std::uint8_t> bytes);
  [[nodiscard]] static IpAddress any(Family family) { return from_number(family, 0); }

  [[nodiscard]] Family family() const noexcept { return family_; }
  [[nodiscard]] bool is_v4() const noexcept { return family_ == Family::kIpv4; }
  [[nodiscard]] bool is_unspecified() const noexcept { return number() == 0; }
  [[nodiscard]] bool is_loopback() const noexcept;
  [[nodiscard]] unsigned bits() const noexcept { return is_v4() ? 32U : 128U; }
  /// AF_INET or AF_INET6.
  [[nodiscard]] std::uint8_t af() const noexcept;
  /// Network order; 4 or 16 bytes.
  [[nodiscard]] std::span<const std::uint8_t> bytes() const noexcept {
    return {bytes_.data(), is_v4() ? 4U : 16U};
  }
  [[nodiscard]] uint128 number() const noexcept;
  [[nodiscard]] std::string to_string() const;

  auto operator<=>(const IpAddress&) const = default;

 private:
  Family family_ = Family::kIpv4;
  std::array<std::uint8_t, 16> bytes_{};
};

/// An address with a prefix length, as in "10.1.2.3/16": the host bits are kept.
struct IpPrefix {
  IpAddress address;
  std::uint8_t length = 0;

  /// "10.1.0.0/16". nullopt when it is not CIDR notation.
  [[nodiscard]] static std::optional<IpPrefix> parse(std::string_view text);
  /// Like parse, and a bare address stands for itself (/32, /128).
  [[nodiscard]] static std::optional<IpPrefix> parse_address_or_prefix(std::string_view text);

  [[nodiscard]] IpPrefix network() const { return {first(), length}; }  ///< host bits cleared
  [[nodiscard]] IpAddress first() const;                                ///< the network address itself
  [[nodiscard]] IpAddress last() const;                                 ///< the broadcast address, for IPv4
  [[nodiscard]] bool contains(const IpAddress& other) const;
  [[nodiscard]] bool overlaps(const IpPrefix& other) const {
    return contains(other.first()) || other.contains(first());
  }
  [[nodiscard]] bool has_host_bits() const { return first() != address; }
  [[nodiscard]] std::string to_string() const;

  auto operator<=>(const IpPrefix&) const = default;
};

}  // namespace netctl
