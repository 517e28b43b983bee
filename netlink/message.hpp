#pragma once
// Netlink messages as values: built, inspected and tested without a kernel. The constant that names an attribute carries
// its payload type and byte order, so that a wrong type does not compile.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/error.hpp"
#include "base/ip_address.hpp"
#include "base/mac_address.hpp"

namespace netctl::netlink {

/// Marks a payload that travels in network byte order; `host` is in host order.
template <class T>
struct BigEndian {
  T host;
};

/// Payload tag for an attribute that only has to be there.
struct Flag {};

/// Names an attribute: its number, and the C++ type of its payload.
template <std::uint16_t Type, class Payload>
struct Attr {};

using Bytes = std::span<const std::uint8_t>;

/// A request in the making. It knows in words what it does (for the error's sentence) and which refusals are fine.
class Request {
 public:
  /// `doing` completes "could not ...": e.g. "create veth nc0123". NLM_F_REQUEST | NLM_F_ACK are always set.
  Request(std::uint16_t type, std::uint16_t flags, std::string doing);

  /// The family header (ifinfomsg, ifaddrmsg, rtmsg, ndmsg, nfgenmsg), zeroed. To be called once, before any attribute.
  template <class Header>
  Header& header() {
    static_assert(std::is_trivially_copyable_v<Header>);
    return *static_cast<Header*>(append_header(sizeof(Header)));
  }

  template <std::uint16_t Type, class Payload>
  Request& put(Attr<Type, Payload>, const std::type_identity_t<Payload>& value) {
    if constexpr (std::is_same_v<Payload, Flag>) {
      append(Type, {});
    } else if constexpr (std::is_same_v<Payload, std::string_view>) {
      append_text(Type, value);
    } else if constexpr (std::is_same_v<Payload, IpAddress>) {
      append(Type, value.bytes());
    } else if constexpr (std::is_same_v<Payload, MacAddress>) {
      append(Type, value.bytes);
    } else if constexpr (std::is_same_v<Payload, Bytes>) {
      append(Type, value);
    } else {
      append_number(Type, value);
    }
    return *this;
  }

  /// Everything that `fill` puts lies inside an attribute of this type.
  Request& nest(std::uint16_t type, const std::function<void(Request&)>& fill);

  /// Raw bytes inside an attribute whose content is not a list of attributes (e.g. the ifinfomsg of a veth's peer).
  Request& append_raw(Bytes bytes);

  /// These errnos count as done: e.g. EEXIST of an address that is already there. Say why at the call.
  Request& tolerate(std::initializer_list<int> errnos);

  [[nodiscard]] bool tolerates(int sys_errno) const;
  [[nodiscard]] const std::string& doing() const { return doing_; }
  [[nodiscard]] std::uint16_t type() const;
  /// The message with its nlmsghdr; sequence and port are filled in when it is sent.
  [[nodiscard]] Bytes bytes() const { return buffer_; }

 private:
  void* append_header(std::size_t size);
  void append(std::uint16_t type,
              Bytes payload);  // throws kInternal above 65,531 bytes: the length field has 16 bits
  void append_text(std::uint16_t type, std::string_view text);
  template <class T>
  void append_number(std::uint16_t type, const T& value) {
    static_assert(std::is_integral_v<T>);
    append(type, Bytes(reinterpret_cast<const std::uint8_t*>(&value), sizeof value));
  }
  template <class T>
  void append_number(std::uint16_t type, const BigEndian<T>& value) {
    std::uint8_t wire[sizeof(T)];
    for (std::size_t i = 0; i < sizeof(T); ++i) {
      wire[i] = static_cast<std::uint8_t>(value.host >> (8 * (sizeof(T) - 1 - i)));
    }
    append(type, Bytes(wire, sizeof wire));
  }
  void set_length();

  std::vector<std::uint8_t> buffer_;
  std::string doing_;
  std::vector<int> tolerated_;
};

/// One attribute of a received message; every getter checks the length and throws kKernel when it does not fit.
struct Attribute {
  std::uint16_t type;  ///< without the NESTED and NET_BYTEORDER bits
  Bytes payload;

  [[nodiscard]] std::uint8_t u8() const;
  [[nodiscard]] std::uint16_t u16() const;
  [[nodiscard]] std::uint32_t u32() const;
  [[nodiscard]] std::uint64_t u64() const;
  [[nodiscard]] std::uint16_t be16() const;  ///< returned in host order
  [[nodiscard]] std::uint32_t be32() const;  ///< returned in host order
  [[nodiscard]] std::string text() const;    ///< up to the first NUL
  [[nodiscard]] IpAddress ip() const;
  [[nodiscard]] std::optional<MacAddress> mac() const;  ///< nullopt when it is not 6 bytes long
};

/// Splits `bytes` into attributes. Stops at a truncated one with kKernel: half a list is never taken for a whole.
[[nodiscard]] std::vector<Attribute> parse_attributes(Bytes bytes);
[[nodiscard]] std::optional<Attribute> find_attribute(Bytes bytes, std::uint16_t type);

/// A received message: type, flags and what follows the nlmsghdr.
struct Reply {
  std::uint16_t type = 0;
  std::uint16_t flags = 0;
  std::vector<std::uint8_t> payload;

  /// The family header. Errors: kKernel when the message is too short for it.
  template <class Header>
  [[nodiscard]] Header header() const {
    Header value;
    copy_header(&value, sizeof value);
    return value;
  }
  /// The attributes after a family header of this type.
  template <class Header>
  [[nodiscard]] Bytes attributes() const {
    constexpr std::size_t kAligned = (sizeof(Header) + 3U) & ~std::size_t{3U};
    return Bytes(payload).subspan(payload.size() < kAligned ? payload.size() : kAligned);
  }

 private:
  void copy_header(void* target, std::size_t size) const;
};

}  // namespace netctl::netlink
