#pragma once
// What the table consists of, as plain constants: the sets with the types of their keys and values, and the chains. The
// README of this folder holds the picture. Names are an interface for people: operators read them, and monitoring does.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/ip_address.hpp"

namespace netctl::iptables {

/// The types that keys and values are made of. The numbers are nft's own (enum datatypes in its include/datatype.h): they
/// are stored with a set so that `nft list ruleset` prints 10.1.0.2 and not 0x0a010002.
enum class Field : std::uint8_t { kNone = 0, kIpv4 = 7, kIpv6 = 8, kProtocol = 12, kPort = 13, kLink = 41 };

[[nodiscard]] constexpr std::size_t field_size(Field field) {
  switch (field) {
    case Field::kIpv4:
      return 4;
    case Field::kIpv6:
      return 16;
    case Field::kProtocol:
      return 1;
    case Field::kPort:
      return 2;
    case Field::kLink:
      return 16;
    case Field::kNone:
      break;
  }
  return 0;
}

/// Fields of a concatenation start at multiples of four bytes, in registers as well as in keys.
[[nodiscard]] constexpr std::size_t padded_field_size(Field field) {
  return (field_size(field) + 3U) & ~std::size_t{3U};
}

enum class SetId : std::uint8_t {
  kPublish4,
  kPublish4Ip,
  kPublish4Ranges,
  kPublish4IpRanges,
  kPublish6,
  kPublish6Ip,
  kPublish6Ranges,
  kPublish6IpRanges,
  kPublishedTargets4,
  kPublishedTargets6,
  kMasquerade4,
  kMasquerade6,
  kOwnLinks,
  kSameLinks,
  kGuardedLinks,
  kIsolatedLinks,
  kInternalLinks,
  kIngressLinks,
  kPartedLinks,
  kTunnelPorts,
  kTunnelPeers4,
  kTunnelPeers6,
  kCount,
};

struct SetShape {
  SetId id;
  const char* name;
  std::array<Field, 3> key;   ///< filled up with kNone
  std::array<Field, 2> data;  ///< of a map; all kNone for a set and for a verdict map
  bool has_verdict;           ///< the value is "jump to a chain"
  bool has_intervals;
  const char* comment;

  [[nodiscard]] std::size_t key_fields() const;
  [[nodiscard]] std::size_t key_size() const;
  [[nodiscard]] std::size_t data_size() const;
  [[nodiscard]] bool is_map() const { return has_verdict || data[0] != Field::kNone; }
};

inline constexpr std::size_t kSetCount = static_cast<std::size_t>(SetId::kCount);
[[nodiscard]] const std::array<SetShape, kSetCount>& all_sets();
[[nodiscard]] const SetShape& shape_of(SetId set);

/// The map for published ports of this family, keyed with or without the host's address, single ports or ranges.
[[nodiscard]] SetId publish_map(Family family, bool with_host_ip, bool ranges);
[[nodiscard]] SetId published_targets(Family family);
[[nodiscard]] SetId masquerade_map(Family family);
[[nodiscard]] SetId tunnel_peers(Family family);

/// A chain that the kernel calls by itself has a hook; the others are jumped to.
struct ChainShape {
  const char* name;
  const char* type;  ///< "nat" or "filter"; nullptr without a hook
  std::uint32_t hook;
  std::int32_t priority;
  const char* comment;
};

inline constexpr const char* kRawGuard = "raw_guard";
inline constexpr const char* kPrerouting = "prerouting";
inline constexpr const char* kOutput = "output";
inline constexpr const char* kPublish = "publish";
inline constexpr const char* kPostrouting = "postrouting";
inline constexpr const char* kPublished = "published";
inline constexpr const char* kMasqueradePublished = "masquerade_published";
inline constexpr const char* kForward = "forward";
inline constexpr const char* kInput = "input";
inline constexpr const char* kTunnelGuard = "tunnel_guard";
inline constexpr const char* kUserForward = "user-forward";
inline constexpr const char* kUserPrerouting = "user-prerouting";

/// Chains with this prefix belong to the operator: made once, never flushed, the table stays while they hold rules.
inline constexpr std::string_view kUserPrefix = "user-";
inline constexpr std::string_view kNetworkPrefix = "net-";

/// All but the networks' chains. Those that are jumped to come first.
[[nodiscard]] const std::array<ChainShape, 12>& all_chains();
[[nodiscard]] bool is_user_chain(std::string_view chain);

}  // namespace netctl::iptables
