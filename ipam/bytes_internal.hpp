#pragma once
// Small values as bytes: fixed-width numbers big-endian, strings and addresses with their length in front. For records
// that are read and written by the ten thousand (leases, claims), where a self-describing format would cost too much.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/ip_address.hpp"
#include "ipam/damage_internal.hpp"
#include "ipam/records.hpp"

namespace netctl::ipam {

class ByteWriter {
 public:
  template <class Number>
  ByteWriter& number(Number value) {
    for (std::size_t shift = sizeof(Number) * 8; shift != 0; shift -= 8) {
      bytes_ += static_cast<char>((static_cast<std::uint64_t>(value) >> (shift - 8)) & 0xff);
    }
    return *this;
  }
  ByteWriter& raw(std::span<const std::uint8_t> bytes) {
    bytes_.append(bytes.begin(), bytes.end());
    return *this;
  }
  ByteWriter& text(std::string_view text) {
    number(static_cast<std::uint32_t>(text.size()));
    bytes_ += text;
    return *this;
  }
  ByteWriter& address(const IpAddress& address) {
    number(static_cast<std::uint8_t>(address.bytes().size()));
    return raw(address.bytes());
  }
  ByteWriter& owner(const AttachmentKey& key) {
    return text(key.network).text(key.container_id).text(key.ifname);
  }

  [[nodiscard]] std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

/// Reads what ByteWriter wrote. Errors: kStoreDamaged when the bytes end too early.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : rest_(bytes) {}

  template <class Number>
  Number number() {
    std::uint64_t value = 0;
    for (const char byte : take(sizeof(Number))) value = (value << 8) | static_cast<std::uint8_t>(byte);
    return static_cast<Number>(value);
  }
  std::string text() { return std::string(take(number<std::uint32_t>())); }
  IpAddress address() {
    const std::string_view bytes = take(number<std::uint8_t>());
    if (bytes.size() != 4 && bytes.size() != 16) throw damaged();
    return IpAddress::from_bytes({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
  }
  AttachmentKey owner() {
    AttachmentKey key;
    key.network = text();
    key.container_id = text();
    key.ifname = text();
    return key;
  }
  std::string_view take(std::size_t size) {
    if (size > rest_.size()) throw damaged();
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }

 private:
  static Damage damaged() { return Damage("a record is shorter than it says"); }
  std::string_view rest_;
};

}  // namespace netctl::ipam
