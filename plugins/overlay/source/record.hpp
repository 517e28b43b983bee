#pragma once
// What nodes say of themselves, as it is stored at a source.
//
// All nodes of a network have blocks of one size, so that blocks can be numbered: a node owns the number, and with it one
// block of every subnet. Whoever makes the entry of a number first has it; the source makes sure that only one can.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/overlay/overlay_config.hpp"

namespace netctl::overlay {

struct BlockPlan {
  std::vector<IpPrefix> subnets;
  std::uint8_t length_v4 = 24;
  std::uint8_t length_v6 = 64;

  explicit BlockPlan(const OverlayConfig& config);
  /// How many nodes there can be: what the subnet with the fewest blocks has, at most 2^20.
  [[nodiscard]] std::uint32_t count() const;
  /// One for each subnet. `number` is below count().
  [[nodiscard]] std::vector<IpPrefix> blocks(std::uint32_t number) const;
  /// nullopt when they are not the blocks of one number.
  [[nodiscard]] std::optional<std::uint32_t> number_of(const std::vector<IpPrefix>& blocks) const;
};

/// By what a node chooses among free numbers, the `attempt`th time.
[[nodiscard]] std::uint64_t choice_of(const std::string& node, unsigned attempt);

struct NodeRecord {
  Node node;
  std::string identity;  ///< of the machine: two machines with one name are told apart by it

  bool operator==(const NodeRecord&) const = default;
};

[[nodiscard]] std::string to_text(const NodeRecord& record);
/// `what` names the place for the error's sentence. Errors: kDecode.
[[nodiscard]] NodeRecord parse_record(std::string_view text, const std::string& what);

/// What all nodes of a network have to agree on, as text that is equal when they do.
[[nodiscard]] std::string agreement(const OverlayConfig& config);

/// Of this machine: /etc/machine-id, hashed as systemd asks for. Errors: kIo.
[[nodiscard]] std::string machine_identity();

}  // namespace netctl::overlay
