#include <algorithm>
#include <limits>

#include "base/error.hpp"
#include "ipam/ranges_internal.hpp"

namespace netctl::ipam {
namespace {

[[noreturn]] void refuse(const std::string& sentence) { throw Error(ErrorCode::kInvalidConfig, sentence); }

IpAddress plus(const IpAddress& address, uint128 count) {
  return IpAddress::from_number(address.family(), address.number() + count);
}

IpAddress minus(const IpAddress& address, uint128 count) {
  return IpAddress::from_number(address.family(), address.number() - count);
}

/// /31 and /127 have two addresses and /32 and /128 have one, all of them for hosts (RFC 3021, RFC 6164).
bool is_point_to_point(const IpPrefix& subnet) { return subnet.address.bits() - subnet.length <= 1; }

bool overlap(const Range& one, const Range& other) {
  return one.subnet.address.family() == other.subnet.address.family() && one.first <= other.last &&
         other.first <= one.last;
}

void require_inside(const char* what, const IpAddress& address, const IpPrefix& subnet) {
  if (!subnet.contains(address)) {
    refuse(std::string(what) + " " + address.to_string() + " is not in subnet " + subnet.to_string() +
           "; write an address of that subnet");
  }
}

void require_no_overlap(const Range& one, const Range& other) {
  if (!overlap(one, other)) return;
  refuse("the ranges " + describe({one}) + " and " + describe({other}) +
         " overlap; give every address to one range only");
}

}  // namespace

Range resolve_range(const RangeSpec& spec) {
  const IpPrefix& subnet = spec.subnet;
  if (subnet.has_host_bits()) {
    refuse("subnet " + subnet.to_string() + " has host bits set; for a prefix of length " +
           std::to_string(subnet.length) + " the network address is " + subnet.first().to_string());
  }
  const bool all_hosts = is_point_to_point(subnet);
  Range range;
  range.subnet = subnet;
  range.first = all_hosts ? subnet.first() : plus(subnet.first(), 1);
  range.last = all_hosts || !subnet.address.is_v4() ? subnet.last() : minus(subnet.last(), 1);
  range.gateway = spec.gateway;
  if (!spec.gateway && !all_hosts) range.gateway = range.first;
  if (spec.range_start) {
    require_inside("rangeStart", *spec.range_start, subnet);
    range.first = *spec.range_start;
  }
  if (spec.range_end) {
    require_inside("rangeEnd", *spec.range_end, subnet);
    range.last = *spec.range_end;
  }
  if (range.first > range.last) {
    refuse("the range of subnet " + subnet.to_string() + " starts at " + range.first.to_string() +
           " behind its end " + range.last.to_string() + "; exchange rangeStart and rangeEnd");
  }
  if (range.gateway && range.gateway->family() != subnet.address.family()) {
    refuse("gateway " + range.gateway->to_string() + " is not of the family of subnet " + subnet.to_string());
  }
  return range;
}

void validate(const PoolConfig& pool) {
  if (pool.sets.empty())
    refuse("network " + pool.network + " has no address ranges; name a subnet or ranges");
  constexpr std::size_t kMaximumSets = 255;
  if (pool.sets.size() > kMaximumSets) refuse("network " + pool.network + " has more than 255 range sets");
  std::vector<const Range*> seen;
  for (const RangeSet& set : pool.sets) {
    if (set.empty())
      refuse("network " + pool.network + " has an empty range set; name a subnet in it or remove it");
    for (const Range& range : set) {
      if (range.subnet.address.family() != set.front().subnet.address.family()) {
        refuse("a range set of network " + pool.network +
               " mixes IPv4 and IPv6; put each family into a set of its own");
      }
      for (const Range* other : seen) require_no_overlap(*other, range);
      seen.push_back(&range);
    }
  }
}

std::vector<Interval> blocked_intervals(const PoolConfig& pool, const Range& range,
                                        const std::vector<IpAddress>& also) {
  const Family family = range.subnet.address.family();
  std::vector<Interval> blocked;
  const auto block = [&](const IpAddress& first, const IpAddress& last) {
    if (first.family() == family) blocked.push_back({first.number(), last.number()});
  };
  if (!is_point_to_point(range.subnet)) {
    block(range.subnet.first(), range.subnet.first());  // for IPv6 the routers' anycast address
    if (range.subnet.address.is_v4()) block(range.subnet.last(), range.subnet.last());
  }
  for (const RangeSet& set : pool.sets) {
    for (const Range& other : set) {
      if (other.gateway) block(*other.gateway, *other.gateway);
    }
  }
  for (const IpPrefix& excluded : pool.exclude) block(excluded.first(), excluded.last());
  for (const IpAddress& address : also) block(address, address);

  std::sort(blocked.begin(), blocked.end(),
            [](const Interval& a, const Interval& b) { return a.first < b.first; });
  std::vector<Interval> merged;
  for (const Interval& next : blocked) {
    if (!merged.empty() && next.first <= merged.back().last) {
      merged.back().last = std::max(merged.back().last, next.last);
    } else {
      merged.push_back(next);
    }
  }
  return merged;
}

std::vector<Interval> subtract(const Interval& whole, const std::vector<Interval>& blocked) {
  std::vector<Interval> rest;
  uint128 from = whole.first;
  for (const Interval& hole : blocked) {
    if (hole.last < from) continue;
    if (hole.first > whole.last) break;
    if (hole.first > from) rest.push_back({from, hole.first - 1});
    if (hole.last >= whole.last) return rest;
    from = hole.last + 1;
  }
  rest.push_back({from, whole.last});
  return rest;
}

std::uint64_t leasable_size(const PoolConfig& pool, const RangeSet& set) {
  constexpr std::uint64_t kMany = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t size = 0;
  for (const Range& range : set) {
    const Interval whole{range.first.number(), range.last.number()};
    for (const Interval& part : subtract(whole, blocked_intervals(pool, range, {}))) {
      const uint128 more_than_one = part.last - part.first;
      if (more_than_one >= kMany - size) return kMany;
      size += static_cast<std::uint64_t>(more_than_one) + 1;
    }
  }
  return size;
}

std::string describe(const RangeSet& set) {
  std::string text;
  for (const Range& range : set) {
    if (!text.empty()) text += ", ";
    text += range.subnet.to_string() + " (" + range.first.to_string() + " to " + range.last.to_string() + ")";
  }
  return text;
}

}  // namespace netctl::ipam
