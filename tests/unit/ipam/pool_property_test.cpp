// Random allocations and releases against the plainest model there is: a map from address to owner.

#include <map>
#include <random>
#include <set>

#include "tests/unit/ipam/support.hpp"

namespace netctl::ipam::testing {
namespace {

constexpr int kSteps = 20'000;
constexpr std::int64_t kSecond = 1'000'000'000;

class PoolProperty : public StoreTest {
 protected:
  void SetUp() override {
    pool_ = pool_of({{range("10.1.2.0/28"), range("10.1.3.0/29"), range("10.1.4.0/31")},
                     {range("fd00::/64", "fd00::10", "fd00::1f"), range("fd01::/126")}});
    pool_.exclude = {prefix("10.1.2.4/31"), prefix("fd00::18/127")};
    for (const RangeSet& set : pool_.sets) leasable_.push_back(leasable_of(set));
  }

  std::set<IpAddress> leasable_of(const RangeSet& set) const {
    std::set<IpAddress> all;
    for (const Range& each : set) {
      for (uint128 number = each.first.number(); number <= each.last.number(); ++number) {
        const IpAddress address = IpAddress::from_number(each.first.family(), number);
        bool usable = address != each.gateway;
        for (const IpPrefix& excluded : pool_.exclude) usable = usable && !excluded.contains(address);
        if (usable) all.insert(address);
      }
    }
    return all;
  }

  bool set_is_full(std::size_t set) const {
    return std::all_of(leasable_[set].begin(), leasable_[set].end(),
                       [&](const IpAddress& address) { return holders_.count(address) != 0; });
  }

  void allocate_one(const AttachmentKey& owner, const std::vector<IpAddress>& wanted) {
    AllocationRequest request;
    request.owner = owner;
    request.wanted = wanted;
    request.now_boot_nanoseconds = now_;
    const bool taken =
        std::any_of(wanted.begin(), wanted.end(), [&](const auto& a) { return holders_.count(a) != 0; });
    const auto asked = [&](std::size_t set) {
      return std::any_of(wanted.begin(), wanted.end(),
                         [&](const auto& a) { return leasable_[set].count(a) != 0; });
    };
    const bool full = (set_is_full(0) && !asked(0)) || (set_is_full(1) && !asked(1));
    std::vector<LeaseRecord> leases;
    const auto attempt = [&] {
      store_.write([&](Transaction& transaction) { leases = allocate(transaction, pool_, request, {}); });
    };
    if (owned_.count(owner) != 0) {
      EXPECT_EQ(error_of(attempt), ErrorCode::kAlreadyAttached);
    } else if (taken || full) {
      const ErrorCode code = error_of(attempt);
      EXPECT_TRUE((taken && code == ErrorCode::kAddressTaken) || (full && code == ErrorCode::kNoFreeAddress));
    } else {
      attempt();
      ASSERT_EQ(leases.size(), 2U);
      for (std::size_t set = 0; set < 2; ++set) note(leases[set], owner, set);
      for (const IpAddress& address : wanted) EXPECT_EQ(holders_[address], owner);
      owned_[owner] = leases;
    }
  }

  void note(const LeaseRecord& lease, const AttachmentKey& owner, std::size_t set) {
    const IpAddress& address = lease.address.address;
    EXPECT_EQ(leasable_[set].count(address), 1U) << address.to_string();
    EXPECT_TRUE(holders_.emplace(address, owner).second) << address.to_string() << " was given twice";
  }

  void release_one(const AttachmentKey& owner) {
    const std::vector<LeaseRecord> leases = owned_[owner];
    store_.write([&](Transaction& transaction) { release(transaction, leases, owner, now_); });
    for (const LeaseRecord& lease : leases) holders_.erase(lease.address.address);
    owned_.erase(owner);
  }

  void compare() {
    store_.read([&](const Transaction& transaction) {
      std::map<IpAddress, AttachmentKey> listed;
      for (const HeldLease& lease : list_leases(transaction, pool_.id)) listed[lease.address] = lease.owner;
      EXPECT_EQ(listed, holders_);
      EXPECT_EQ(utilisation(transaction, pool_).leased, holders_.size());
      EXPECT_EQ(utilisation(transaction, pool_).size, leasable_[0].size() + leasable_[1].size());
    });
  }

  PoolConfig pool_;
  std::vector<std::set<IpAddress>> leasable_;
  std::map<IpAddress, AttachmentKey> holders_;
  std::map<AttachmentKey, std::vector<LeaseRecord>> owned_;
  std::int64_t now_ = 0;
};

TEST_F(PoolProperty, AgreesWithTheModel) {
  std::mt19937 random(20'240'229);  // a fixed seed: a failure can be repeated
  const auto below = [&](std::uint32_t limit) { return static_cast<std::uint32_t>(random() % limit); };
  const auto any_of_set = [&](std::size_t set) {
    return *std::next(leasable_[set].begin(), below(static_cast<std::uint32_t>(leasable_[set].size())));
  };
  for (int step = 0; step < kSteps && !HasFailure(); ++step) {
    now_ += below(2) * kSecond;
    const AttachmentKey owner = container("c" + std::to_string(below(30)));
    // Phases in which the pool fills up, and in which it empties.
    const bool growing = step / 1000 % 2 == 0;
    if (below(10) < (growing ? 3U : 7U)) {
      release_one(owner);
    } else {
      std::vector<IpAddress> wanted;
      if (below(4) == 0) wanted.push_back(any_of_set(0));
      if (below(4) == 0) wanted.push_back(any_of_set(1));
      allocate_one(owner, wanted);
    }
    if (step % 250 == 0) compare();
  }
  compare();
}

}  // namespace
}  // namespace netctl::ipam::testing
