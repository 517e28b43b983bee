#pragma once
// An element of one of our sets or maps, as the bytes that the kernel compares.

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

#include "base/ip_address.hpp"
#include "iptables/policy.hpp"
#include "iptables/table_layout.hpp"

namespace netctl::iptables {

struct Element {
  SetId set = SetId::kCount;
  std::vector<std::uint8_t> key;  ///< fields in network order, each padded to four bytes
  std::vector<std::uint8_t>
      key_end;                     ///< last key of the interval, inclusive; empty in sets without intervals
  std::vector<std::uint8_t> data;  ///< value of a map; empty for sets and verdict maps
  std::string chain;               ///< value of a verdict map: the chain that is jumped to
  std::string comment;             ///< fit to be printed and read back, see printable_comment

  [[nodiscard]] bool has_same_key(const Element& other) const {
    return set == other.set && key == other.key && key_end == other.key_end;
  }
  [[nodiscard]] bool has_same_value(const Element& other) const {
    return data == other.data && chain == other.chain;
  }
};

/// Appends fields to a key or a value.
void append_field(std::vector<std::uint8_t>& bytes, const IpAddress& address);
void append_field(std::vector<std::uint8_t>& bytes, Protocol protocol);
void append_field(std::vector<std::uint8_t>& bytes, std::uint16_t port);
/// An interface name; throws kInvalidConfig when it is longer than the kernel allows.
void append_field(std::vector<std::uint8_t>& bytes, const std::string& link);

/// Takes the fields of a key or value off one by one. Errors: kKernel when there are fewer bytes than that.
class FieldReader {
 public:
  explicit FieldReader(const std::vector<std::uint8_t>& bytes) : bytes_(&bytes) {}
  [[nodiscard]] IpAddress address(Family family);
  [[nodiscard]] Protocol protocol();
  [[nodiscard]] std::uint16_t port();
  [[nodiscard]] std::string link();

 private:
  const std::uint8_t* take(std::size_t size);
  const std::vector<std::uint8_t>* bytes_;
  std::size_t position_ = 0;
};

/// Cut to 120 bytes at a character's border, without what nft's quoted strings cannot hold ('"', control characters): the
/// listing must be readable by `nft -f` again.
[[nodiscard]] std::string printable_comment(const std::string& text);

/// The element as a person would write it: `publish4 { tcp . 8080 : 10.1.0.2 . 80 }`.
[[nodiscard]] std::string describe(const Element& element);
/// Only its key: `tcp . 8080`.
[[nodiscard]] std::string describe_key(const Element& element);

}  // namespace netctl::iptables
