#pragma once
// Ranges as intervals of numbers: what of a range can be leased at all, without walking it.

#include <vector>

#include "ipam/pool.hpp"

namespace netctl::ipam {

/// Inclusive at both ends.
struct Interval {
  uint128 first = 0;
  uint128 last = 0;

  [[nodiscard]] bool contains(uint128 number) const { return number >= first && number <= last; }
};

/// What is never leased of a range, in order and without overlaps: network and broadcast address, the gateways and
/// exclusions of the pool, and `also`.
[[nodiscard]] std::vector<Interval> blocked_intervals(const PoolConfig& pool, const Range& range,
                                                      const std::vector<IpAddress>& also);

/// The parts of `whole` outside `blocked` (as blocked_intervals returns them), in order.
[[nodiscard]] std::vector<Interval> subtract(const Interval& whole, const std::vector<Interval>& blocked);

/// Addresses of the set that can be leased; saturates at 2^64-1.
[[nodiscard]] std::uint64_t leasable_size(const PoolConfig& pool, const RangeSet& set);

/// "10.1.0.0/16 (10.1.0.2 to 10.1.255.254)", several joined by ", ".
[[nodiscard]] std::string describe(const RangeSet& set);

}  // namespace netctl::ipam
