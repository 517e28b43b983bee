#pragma once
// Which address is whose. A pool is identified by (data directory, network name); its ranges come with every call from the
// network's configuration, so that editing the configuration takes effect at once.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "ipam/store.hpp"

namespace netctl::ipam {

/// Hex digits; what LeaseRecord::pool holds.
using PoolId = std::string;
[[nodiscard]] PoolId pool_id(const std::string& data_directory, const std::string& network);

/// First and last are inclusive. The gateway is never leased.
struct Range {
  IpPrefix subnet;
  IpAddress first;
  IpAddress last;
  std::optional<IpAddress> gateway;

  auto operator<=>(const Range&) const = default;
};

/// As written in a configuration; nullopt means "the default".
struct RangeSpec {
  IpPrefix subnet;
  std::optional<IpAddress> range_start, range_end, gateway;
};

/// Fills in defaults (gateway: first host address; start: first host; end: last host; /31 and /127: both addresses are
/// leased and there is no gateway unless one is named; /32 and /128: the one address) and checks.
/// Errors: kInvalidConfig with the reference's cases: host bits set, start or end outside the subnet, ...
[[nodiscard]] Range resolve_range(const RangeSpec& spec);

/// One address is leased from each set; the ranges of a set are of one family and do not overlap.
using RangeSet = std::vector<Range>;

struct PoolConfig {
  PoolId id;
  std::string network;
  std::vector<RangeSet> sets;
  std::vector<IpPrefix> exclude;  ///< never leased, not even on request
};

/// Errors: kInvalidConfig: empty set, mixed families, overlap within or between sets.
void validate(const PoolConfig& pool);

struct AllocationRequest {
  AttachmentKey owner;
  std::vector<IpAddress> wanted;  ///< each must lie in a set of its own; all of them or an error
  std::vector<IpAddress>
      reserved_for_owner;  ///< of the named reservation that applies; taken unless `wanted` says otherwise
  std::vector<IpAddress> reserved_for_others;  ///< never leased to this owner
  std::int64_t now_boot_nanoseconds = 0;
  /// Who holds an address by a lease that is not in this store; it is passed over. Empty: nobody does anywhere.
  std::function<std::optional<std::string>(const IpAddress&)> held_elsewhere{};
};

/// True when the holder of an address is provably gone, so that a static request may take it over.
using IsDead = std::function<bool(const AttachmentKey& holder)>;

/// Leases one address from each set: next-fit behind the last one given; addresses released less than 30 s ago are
/// passed over unless the set is otherwise full or they were asked for. Cost does not depend on the size of the subnet.
/// Errors: kNoFreeAddress (names the range, its use, and what to do), kAddressTaken (names the holder), kInvalidConfig
/// (a wanted address outside all sets, excluded, or the gateway).
[[nodiscard]] std::vector<LeaseRecord> allocate(Transaction& transaction, const PoolConfig& pool,
                                                const AllocationRequest& request, const IsDead& is_dead);

/// Frees what `owner` holds; addresses that others hold by now are left alone. Idempotent.
void release(Transaction& transaction, const std::vector<LeaseRecord>& leases, const AttachmentKey& owner,
             std::int64_t now_boot_nanoseconds);

/// The holder of an address of this pool.
[[nodiscard]] std::optional<AttachmentKey> find_holder(const Transaction& transaction, const PoolId& pool,
                                                       const IpAddress& address);

struct Utilisation {
  std::uint64_t leased = 0;
  std::uint64_t size = 0;  ///< addresses that can be leased; saturates at 2^64-1
};
/// Counted as leases come and go, not scanned.
[[nodiscard]] Utilisation utilisation(const Transaction& transaction, const PoolConfig& pool);
[[nodiscard]] std::uint64_t leased_count(const Transaction& transaction, const PoolId& pool);

struct HeldLease {
  IpAddress address;
  AttachmentKey owner;
};
[[nodiscard]] std::vector<HeldLease> list_leases(const Transaction& transaction, const PoolId& pool);

}  // namespace netctl::ipam
