#include "netlink/message.hpp"

#include <endian.h>
#include <linux/netlink.h>

#include <algorithm>
#include <cstring>
#include <limits>

namespace netctl::netlink {
namespace {

constexpr std::size_t kHeaderSize = sizeof(nlmsghdr);
constexpr std::size_t kAttributeHeaderSize = sizeof(nlattr);
constexpr std::size_t kAttributeMax = std::numeric_limits<std::uint16_t>::max();

constexpr std::size_t aligned(std::size_t size) {
  return (size + NLA_ALIGNTO - 1) & ~std::size_t{NLA_ALIGNTO - 1};
}

[[noreturn]] void throw_malformed(const std::string& what) {
  throw Error(ErrorCode::kKernel, "the kernel's answer could not be read: " + what);
}

/// Reads a number of exactly this size; attributes are aligned to four bytes only, hence memcpy.
template <class T>
T read_number(const Attribute& attribute) {
  if (attribute.payload.size() != sizeof(T)) {
    throw_malformed("attribute " + std::to_string(attribute.type) + " has " +
                    std::to_string(attribute.payload.size()) + " bytes instead of " +
                    std::to_string(sizeof(T)));
  }
  T value{};
  std::memcpy(&value, attribute.payload.data(), sizeof value);
  return value;
}

/// Cuts the first attribute off `rest`. The padding after the last one may be missing.
Attribute take_attribute(Bytes& rest) {
  nlattr header{};
  if (rest.size() < kAttributeHeaderSize) throw_malformed("an attribute is cut off in its header");
  std::memcpy(&header, rest.data(), sizeof header);
  if (header.nla_len < kAttributeHeaderSize || header.nla_len > rest.size()) {
    throw_malformed("attribute " + std::to_string(header.nla_type & NLA_TYPE_MASK) + " claims " +
                    std::to_string(header.nla_len) + " bytes where " + std::to_string(rest.size()) +
                    " are left");
  }
  const Attribute attribute{static_cast<std::uint16_t>(header.nla_type & NLA_TYPE_MASK),
                            rest.subspan(kAttributeHeaderSize, header.nla_len - kAttributeHeaderSize)};
  rest = rest.subspan(std::min(rest.size(), aligned(header.nla_len)));
  return attribute;
}

}  // namespace

Request::Request(std::uint16_t type, std::uint16_t flags, std::string doing)
    : buffer_(kHeaderSize), doing_(std::move(doing)) {
  // Enough for the largest request of this folder, so that it is allocated once.
  buffer_.reserve(256);
  nlmsghdr header{};
  header.nlmsg_len = kHeaderSize;
  header.nlmsg_type = type;
  header.nlmsg_flags = static_cast<std::uint16_t>(flags | NLM_F_REQUEST | NLM_F_ACK);
  std::memcpy(buffer_.data(), &header, sizeof header);
}

Request& Request::nest(std::uint16_t type, const std::function<void(Request&)>& fill) {
  const std::size_t start = buffer_.size();
  // The flag is not decoration: the bridge reads IFLA_PROTINFO as a list only with it, ctnetlink refuses CTA_FILTER without.
  append(static_cast<std::uint16_t>(type | NLA_F_NESTED), {});
  fill(*this);
  const std::size_t length = buffer_.size() - start;
  if (length > kAttributeMax)
    throw Error(ErrorCode::kInternal, "a netlink attribute is too long to " + doing_);
  const auto wire_length = static_cast<std::uint16_t>(length);
  std::memcpy(buffer_.data() + start, &wire_length, sizeof wire_length);
  return *this;
}

Request& Request::append_raw(Bytes bytes) {
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
  buffer_.resize(aligned(buffer_.size()));
  set_length();
  return *this;
}

Request& Request::tolerate(std::initializer_list<int> errnos) {
  tolerated_.insert(tolerated_.end(), errnos);
  return *this;
}

bool Request::tolerates(int sys_errno) const {
  return std::find(tolerated_.begin(), tolerated_.end(), sys_errno) != tolerated_.end();
}

std::uint16_t Request::type() const {
  nlmsghdr header{};
  std::memcpy(&header, buffer_.data(), sizeof header);
  return header.nlmsg_type;
}

void* Request::append_header(std::size_t size) {
  if (buffer_.size() != kHeaderSize) {
    throw Error(ErrorCode::kInternal, "the family header has to come first to " + doing_);
  }
  buffer_.resize(kHeaderSize + aligned(size));
  set_length();
  return buffer_.data() + kHeaderSize;
}

void Request::append(std::uint16_t type, Bytes payload) {
  if (payload.size() > kAttributeMax - kAttributeHeaderSize) {
    throw Error(ErrorCode::kInternal, "a netlink attribute is too long to " + doing_);
  }
  const nlattr header{static_cast<std::uint16_t>(kAttributeHeaderSize + payload.size()), type};
  const std::size_t start = buffer_.size();
  buffer_.resize(start + kAttributeHeaderSize + aligned(payload.size()));
  std::memcpy(buffer_.data() + start, &header, sizeof header);
  std::copy(payload.begin(), payload.end(),
            buffer_.begin() + static_cast<std::ptrdiff_t>(start + sizeof header));
  set_length();
}

void Request::append_text(std::uint16_t type, std::string_view text) {
  std::vector<std::uint8_t> terminated(text.begin(), text.end());
  terminated.push_back(0);
  append(type, terminated);
}

void Request::set_length() {
  const auto length = static_cast<std::uint32_t>(buffer_.size());
  std::memcpy(buffer_.data(), &length, sizeof length);
}

std::uint8_t Attribute::u8() const { return read_number<std::uint8_t>(*this); }
std::uint16_t Attribute::u16() const { return read_number<std::uint16_t>(*this); }
std::uint32_t Attribute::u32() const { return read_number<std::uint32_t>(*this); }
std::uint64_t Attribute::u64() const { return read_number<std::uint64_t>(*this); }
std::uint16_t Attribute::be16() const { return be16toh(u16()); }
std::uint32_t Attribute::be32() const { return be32toh(u32()); }

std::string Attribute::text() const {
  return {payload.begin(), std::find(payload.begin(), payload.end(), 0)};
}

IpAddress Attribute::ip() const {
  if (payload.size() != 4 && payload.size() != 16) {
    throw_malformed("attribute " + std::to_string(type) + " has " + std::to_string(payload.size()) +
                    " bytes, which is no IP address");
  }
  return IpAddress::from_bytes(payload);
}

std::optional<MacAddress> Attribute::mac() const {
  MacAddress address;
  if (payload.size() != address.bytes.size()) return std::nullopt;
  std::copy(payload.begin(), payload.end(), address.bytes.begin());
  return address;
}

std::vector<Attribute> parse_attributes(Bytes bytes) {
  std::vector<Attribute> attributes;
  while (!bytes.empty()) attributes.push_back(take_attribute(bytes));
  return attributes;
}

std::optional<Attribute> find_attribute(Bytes bytes, std::uint16_t type) {
  while (!bytes.empty()) {
    const Attribute attribute = take_attribute(bytes);
    if (attribute.type == type) return attribute;
  }
  return std::nullopt;
}

void Reply::copy_header(void* target, std::size_t size) const {
  if (payload.size() < size) {
    throw_malformed("message " + std::to_string(type) + " has " + std::to_string(payload.size()) +
                    " bytes where its header alone has " + std::to_string(size));
  }
  std::memcpy(target, payload.data(), size);
}

}  // namespace netctl::netlink
