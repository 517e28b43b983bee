#include "iptables/element.hpp"

#include <net/if.h>

#include <algorithm>
#include <optional>
#include <span>

#include "base/error.hpp"

namespace netctl::iptables {
namespace {

constexpr std::size_t kCommentMax = 120;

void append_padded(std::vector<std::uint8_t>& bytes, std::span<const std::uint8_t> field,
                   std::size_t padded_size) {
  bytes.insert(bytes.end(), field.begin(), field.end());
  bytes.resize(bytes.size() + padded_size - field.size());
}

std::string describe_field(FieldReader& reader, Field field) {
  switch (field) {
    case Field::kIpv4:
      return reader.address(Family::kIpv4).to_string();
    case Field::kIpv6:
      return reader.address(Family::kIpv6).to_string();
    case Field::kProtocol:
      return to_string(reader.protocol());
    case Field::kPort:
      return std::to_string(reader.port());
    case Field::kLink:
      return '"' + reader.link() + '"';
    case Field::kNone:
      break;
  }
  return {};
}

/// "10.1.0.0/16" where that is what it is, else "8000-8010".
std::string describe_interval(Field field, const std::string& lower, const std::string& upper) {
  if (lower == upper) return lower;
  const std::optional<IpAddress> first = IpAddress::parse(lower);
  if (first && (field == Field::kIpv4 || field == Field::kIpv6)) {
    for (unsigned length = 0; length <= first->bits(); ++length) {
      const IpPrefix prefix{*first, static_cast<std::uint8_t>(length)};
      if (prefix.first() == *first && prefix.last().to_string() == upper) return prefix.to_string();
    }
  }
  return lower + "-" + upper;
}

template <std::size_t N>
std::string describe_fields(const std::array<Field, N>& fields, const std::vector<std::uint8_t>& first,
                            const std::vector<std::uint8_t>& last) {
  std::string text;
  FieldReader from(first);
  FieldReader to(last.empty() ? first : last);
  for (const Field field : fields) {
    if (field == Field::kNone) break;
    if (!text.empty()) text += " . ";
    const std::string lower = describe_field(from, field);
    text += describe_interval(field, lower, describe_field(to, field));
  }
  return text;
}

}  // namespace

void append_field(std::vector<std::uint8_t>& bytes, const IpAddress& address) {
  append_padded(bytes, address.bytes(), address.bytes().size());
}

void append_field(std::vector<std::uint8_t>& bytes, Protocol protocol) {
  const auto number = static_cast<std::uint8_t>(protocol);
  append_padded(bytes, {&number, 1}, padded_field_size(Field::kProtocol));
}

void append_field(std::vector<std::uint8_t>& bytes, std::uint16_t port) {
  const std::array<std::uint8_t, 2> wire{static_cast<std::uint8_t>(port >> 8),
                                         static_cast<std::uint8_t>(port & 0xff)};
  append_padded(bytes, wire, padded_field_size(Field::kPort));
}

void append_field(std::vector<std::uint8_t>& bytes, const std::string& link) {
  if (link.size() >= IFNAMSIZ) {
    throw Error(ErrorCode::kInvalidConfig, "an interface name has at most 15 bytes: " + link);
  }
  const std::vector<std::uint8_t> wire(link.begin(), link.end());
  append_padded(bytes, wire, padded_field_size(Field::kLink));
}

const std::uint8_t* FieldReader::take(std::size_t size) {
  const std::size_t padded = (size + 3U) & ~std::size_t{3U};
  if (position_ + padded > bytes_->size()) {
    throw Error(ErrorCode::kKernel, "an element of table netctl is shorter than its type says");
  }
  const std::uint8_t* field = bytes_->data() + position_;
  position_ += padded;
  return field;
}

IpAddress FieldReader::address(Family family) {
  const std::size_t size = family == Family::kIpv4 ? 4 : 16;
  return IpAddress::from_bytes({take(size), size});
}

Protocol FieldReader::protocol() { return static_cast<Protocol>(*take(1)); }

std::uint16_t FieldReader::port() {
  const std::uint8_t* wire = take(2);
  return static_cast<std::uint16_t>(wire[0] << 8 | wire[1]);
}

std::string FieldReader::link() {
  const std::uint8_t* wire = take(IFNAMSIZ);
  return {wire, std::find(wire, wire + IFNAMSIZ, 0)};
}

std::string printable_comment(const std::string& text) {
  std::size_t length = std::min(text.size(), kCommentMax);
  // A UTF-8 character is not cut in two: bytes 10xxxxxx continue one.
  while (length < text.size() && length > 0 && (static_cast<unsigned char>(text[length]) & 0xc0) == 0x80)
    --length;
  std::string comment = text.substr(0, length);
  for (char& letter : comment) {
    const auto code = static_cast<unsigned char>(letter);
    if (code < 0x20 || code == 0x7f || letter == '"') letter = '_';
  }
  return comment;
}

std::string describe_key(const Element& element) {
  return describe_fields(shape_of(element.set).key, element.key, element.key_end);
}

std::string describe(const Element& element) {
  const SetShape& shape = shape_of(element.set);
  std::string text = std::string(shape.name) + " { " + describe_key(element);
  if (shape.has_verdict) text += " : jump " + element.chain;
  if (!element.data.empty()) text += " : " + describe_fields(shape.data, element.data, {});
  return text + " }";
}

}  // namespace netctl::iptables
