#include "ipam/pool.hpp"

#include <algorithm>
#include <limits>
#include <map>

#include "base/error.hpp"
#include "ipam/bytes_internal.hpp"
#include "ipam/pool_state_internal.hpp"
#include "ipam/ranges_internal.hpp"

namespace netctl::ipam {
namespace {

bool lies_in(const Range& range, const IpAddress& address) {
  return address.family() == range.subnet.address.family() && address >= range.first && address <= range.last;
}

std::string describe_holder(const Transaction& transaction, const AttachmentKey& holder) {
  const std::optional<AttachmentRecord> record = transaction.find_attachment(holder);
  const bool named = record && !record->container_name.empty();
  return "container " +
         (named ? record->container_name + " (" + holder.container_id + ")" : holder.container_id) +
         " (interface " + holder.ifname + ") of network " + holder.network;
}

/// One call of allocate(): picks for every set first and writes last.
class Allocation {
 public:
  Allocation(Transaction& transaction, const PoolConfig& pool, const AllocationRequest& request,
             const IsDead& is_dead)
      : transaction_(transaction),
        pool_(pool),
        request_(request),
        is_dead_(is_dead),
        state_(PoolState::load(transaction, pool.id)),
        asked_(pool.sets.size()) {}

  std::vector<LeaseRecord> run();

 private:
  struct Pick {
    const Range* range = nullptr;
    IpAddress address;
    std::optional<AttachmentKey> dead_holder;
  };

  void require_no_leases() const;
  void assign(const IpAddress& address, bool reserved);
  [[nodiscard]] Pick pick_asked(const RangeSet& set, const IpAddress& address) const;
  [[nodiscard]] Pick pick_next(std::uint8_t set_index) const;
  [[nodiscard]] std::optional<IpAddress> find_gap(Family family, const Interval& part,
                                                  const PoolState::Released*& coolest) const;
  void write(const std::vector<Pick>& picks);
  [[nodiscard]] std::optional<std::string> held_elsewhere(const IpAddress& address) const {
    return request_.held_elsewhere ? request_.held_elsewhere(address) : std::nullopt;
  }

  Transaction& transaction_;
  const PoolConfig& pool_;
  const AllocationRequest& request_;
  const IsDead& is_dead_;
  PoolState state_;
  std::vector<std::optional<IpAddress>> asked_;  // by set
};

/// The addresses that the pool's index holds for an owner.
std::vector<IpAddress> load_owned(const Transaction& transaction, const PoolId& pool,
                                  const AttachmentKey& owner) {
  std::vector<IpAddress> addresses;
  const std::optional<std::string> bytes = transaction.get(owner_key(pool, owner));
  if (!bytes) return addresses;
  ByteReader reader(*bytes);
  for (auto count = reader.number<std::uint16_t>(); count != 0; --count)
    addresses.push_back(reader.address());
  return addresses;
}

void store_owned(Transaction& transaction, const PoolId& pool, const AttachmentKey& owner,
                 const std::vector<IpAddress>& addresses) {
  if (addresses.empty()) return transaction.erase(owner_key(pool, owner));
  ByteWriter writer;
  writer.number(static_cast<std::uint16_t>(addresses.size()));
  for (const IpAddress& address : addresses) writer.address(address);
  transaction.put(owner_key(pool, owner), writer.take());
}

void disown(Transaction& transaction, const PoolId& pool, const AttachmentKey& owner,
            const IpAddress& address) {
  std::vector<IpAddress> owned = load_owned(transaction, pool, owner);
  owned.erase(std::remove(owned.begin(), owned.end(), address), owned.end());
  store_owned(transaction, pool, owner, owned);
}

std::vector<LeaseRecord> Allocation::run() {
  require_no_leases();
  for (const IpAddress& address : request_.wanted) assign(address, false);
  for (const IpAddress& address : request_.reserved_for_owner) assign(address, true);

  std::vector<Pick> picks;
  for (std::size_t i = 0; i < pool_.sets.size(); ++i) {
    picks.push_back(asked_[i] ? pick_asked(pool_.sets[i], *asked_[i])
                              : pick_next(static_cast<std::uint8_t>(i)));
    if (!asked_[i]) state_.cursors[static_cast<std::uint8_t>(i)] = picks.back().address;
  }
  write(picks);

  std::vector<LeaseRecord> leases;
  for (const Pick& pick : picks) {
    leases.push_back({{pick.address, pick.range->subnet.length}, pick.range->gateway, pool_.id});
  }
  return leases;
}

void Allocation::require_no_leases() const {
  const std::vector<IpAddress> owned = load_owned(transaction_, pool_.id, request_.owner);
  if (owned.empty()) return;
  throw Error(ErrorCode::kAlreadyAttached,
              describe_holder(transaction_, request_.owner) + " already holds " + owned.front().to_string() +
                  ", and duplicate allocation is not allowed; delete the attachment first");
}

/// Gives an address that was asked for to the set that it lies in. What `wanted` says stands before reservations.
void Allocation::assign(const IpAddress& address, bool reserved) {
  const std::string subject = (reserved ? "reserved address " : "requested address ") + address.to_string();
  for (std::size_t i = 0; i < pool_.sets.size(); ++i) {
    const RangeSet& set = pool_.sets[i];
    if (std::none_of(set.begin(), set.end(), [&](const Range& range) { return lies_in(range, address); }))
      continue;
    if (!asked_[i]) {
      asked_[i] = address;
    } else if (!reserved && *asked_[i] != address) {
      throw Error(ErrorCode::kInvalidConfig, subject + " lies in the same range set of network " +
                                                 pool_.network + " as " + asked_[i]->to_string() +
                                                 "; request one address a set");
    }
    return;
  }
  std::string ranges;
  for (const RangeSet& set : pool_.sets) ranges += (ranges.empty() ? "" : ", ") + describe(set);
  throw Error(ErrorCode::kInvalidConfig, subject + " lies outside the ranges of network " + pool_.network +
                                             ": " + ranges + "; choose one inside, or change the ranges");
}

Allocation::Pick Allocation::pick_asked(const RangeSet& set, const IpAddress& address) const {
  const auto range =
      std::find_if(set.begin(), set.end(), [&](const Range& each) { return lies_in(each, address); });
  const std::string subject = "requested address " + address.to_string();
  if (range->gateway == address) {
    throw Error(ErrorCode::kInvalidConfig, subject + " is the gateway of its subnet; choose another one");
  }
  for (const Interval& blocked : blocked_intervals(pool_, *range, {})) {
    if (!blocked.contains(address.number())) continue;
    throw Error(ErrorCode::kInvalidConfig,
                subject +
                    " is never leased (a gateway, an excluded, a network or a broadcast address of network " +
                    pool_.network + "); choose another one");
  }
  const auto& others = request_.reserved_for_others;
  if (std::find(others.begin(), others.end(), address) != others.end()) {
    throw Error(ErrorCode::kAddressTaken, subject + " is reserved for another name on network " +
                                              pool_.network +
                                              "; choose another one, or free it with `netctl ip release`");
  }
  if (const auto elsewhere = held_elsewhere(address)) {
    throw Error(ErrorCode::kAddressTaken, subject + " is held by " + *elsewhere +
                                              "; remove that container, or ask for another address");
  }
  const std::optional<AttachmentKey> holder = find_holder(transaction_, pool_.id, address);
  if (holder && !(is_dead_ && is_dead_(*holder))) {
    throw Error(ErrorCode::kAddressTaken, subject + " is held by " + describe_holder(transaction_, *holder) +
                                              "; remove that container, or ask for another address");
  }
  return {&*range, address, holder};
}

/// The parts of a set that can be leased, beginning behind `cursor` and coming round to it.
std::vector<std::pair<const Range*, Interval>> parts_from(const PoolConfig& pool, const RangeSet& set,
                                                          const std::optional<IpAddress>& cursor,
                                                          const std::vector<IpAddress>& reserved_for_others) {
  std::vector<std::pair<const Range*, Interval>> behind, before;
  bool passed =
      !cursor || std::none_of(set.begin(), set.end(), [&](const Range& r) { return lies_in(r, *cursor); });
  for (const Range& range : set) {
    const std::vector<Interval> blocked = blocked_intervals(pool, range, reserved_for_others);
    const auto append = [&](auto& list, const Interval& whole) {
      for (const Interval& part : subtract(whole, blocked)) list.emplace_back(&range, part);
    };
    const Interval whole{range.first.number(), range.last.number()};
    if (passed || !lies_in(range, *cursor)) {
      append(passed ? behind : before, whole);
      continue;
    }
    passed = true;
    append(before, {whole.first, cursor->number()});
    if (cursor->number() != whole.last) append(behind, {cursor->number() + 1, whole.last});
  }
  behind.insert(behind.end(), before.begin(), before.end());
  return behind;
}

Allocation::Pick Allocation::pick_next(std::uint8_t set_index) const {
  const RangeSet& set = pool_.sets[set_index];
  const auto cursor = state_.cursors.find(set_index);
  const Family family = set.front().subnet.address.family();
  const PoolState::Released* coolest = nullptr;
  const Range* range_of_coolest = nullptr;
  for (const auto& [range, part] :
       parts_from(pool_, set, cursor == state_.cursors.end() ? std::nullopt : std::optional(cursor->second),
                  request_.reserved_for_others)) {
    const PoolState::Released* const coolest_so_far = coolest;
    if (const std::optional<IpAddress> address = find_gap(family, part, coolest))
      return {range, *address, {}};
    if (coolest != coolest_so_far) range_of_coolest = range;
  }
  if (coolest != nullptr) return {range_of_coolest, coolest->address, {}};
  const std::uint64_t size = leasable_size(pool_, set);
  throw Error(ErrorCode::kNoFreeAddress,
              "no IP addresses are available in " + describe(set) + " of network " + pool_.network +
                  ": all " + std::to_string(size) +
                  " are leased or reserved; remove containers, run `netctl gc`, or widen the range");
}

/// The first free address of `part` that does not rest. Of those that do, the one released longest ago goes to `coolest`.
std::optional<IpAddress> Allocation::find_gap(Family family, const Interval& part,
                                              const PoolState::Released*& coolest) const {
  LeaseBits bits(transaction_, pool_.id, family);
  std::optional<uint128> next = bits.find_free(part.first, part.last);
  while (next) {
    const IpAddress address = IpAddress::from_number(family, *next);
    const PoolState::Released* const cooling = state_.find_cooling(address, request_.now_boot_nanoseconds);
    const bool elsewhere = held_elsewhere(address).has_value();
    if (cooling == nullptr && !elsewhere) return address;
    if (!elsewhere && (coolest == nullptr || cooling->boot_nanoseconds < coolest->boot_nanoseconds))
      coolest = cooling;
    next = *next == part.last ? std::nullopt : bits.find_free(*next + 1, part.last);
  }
  return std::nullopt;
}

void Allocation::write(const std::vector<Pick>& picks) {
  std::vector<IpAddress> owned;
  for (const Pick& pick : picks) {
    if (pick.dead_holder) {
      disown(transaction_, pool_.id, *pick.dead_holder, pick.address);
    } else {
      ++state_.leased;
      LeaseBits::set(transaction_, pool_.id, pick.address, true);
    }
    transaction_.put(lease_key(pool_.id, pick.address), ByteWriter().owner(request_.owner).take());
    owned.push_back(pick.address);
  }
  store_owned(transaction_, pool_.id, request_.owner, owned);
  state_.store(transaction_, pool_.id);
}

}  // namespace

std::vector<LeaseRecord> allocate(Transaction& transaction, const PoolConfig& pool,
                                  const AllocationRequest& request, const IsDead& is_dead) {
  validate(pool);
  return Allocation(transaction, pool, request, is_dead).run();
}

void release(Transaction& transaction, const std::vector<LeaseRecord>& leases, const AttachmentKey& owner,
             std::int64_t now_boot_nanoseconds) {
  std::map<PoolId, PoolState> states;
  for (const LeaseRecord& lease : leases) {
    const IpAddress& address = lease.address.address;
    if (lease.pool.empty() || find_holder(transaction, lease.pool, address) != owner) continue;
    transaction.erase(lease_key(lease.pool, address));
    LeaseBits::set(transaction, lease.pool, address, false);
    disown(transaction, lease.pool, owner, address);
    const auto [state, is_new] = states.try_emplace(lease.pool);
    if (is_new) state->second = PoolState::load(transaction, lease.pool);
    if (state->second.leased != 0) --state->second.leased;
    state->second.note_release(address, now_boot_nanoseconds);
  }
  for (const auto& [pool, state] : states) state.store(transaction, pool);
}

std::optional<AttachmentKey> find_holder(const Transaction& transaction, const PoolId& pool,
                                         const IpAddress& address) {
  const std::optional<std::string> value = transaction.get(lease_key(pool, address));
  if (!value) return std::nullopt;
  return ByteReader(*value).owner();
}

Utilisation utilisation(const Transaction& transaction, const PoolConfig& pool) {
  Utilisation use;
  use.leased = leased_count(transaction, pool.id);
  for (const RangeSet& set : pool.sets) {
    const std::uint64_t size = leasable_size(pool, set);
    use.size += std::min(size, std::numeric_limits<std::uint64_t>::max() - use.size);
  }
  return use;
}

std::uint64_t leased_count(const Transaction& transaction, const PoolId& pool) {
  return PoolState::load(transaction, pool).leased;
}

std::vector<HeldLease> list_leases(const Transaction& transaction, const PoolId& pool) {
  std::vector<HeldLease> leases;
  const std::string prefix = lease_prefix(pool);
  transaction.scan(prefix, prefix, [&](const std::string& key, const std::string& value) {
    leases.push_back({address_of_lease_key(key), ByteReader(value).owner()});
    return true;
  });
  return leases;
}

}  // namespace netctl::ipam
