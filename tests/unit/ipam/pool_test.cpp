#include <functional>

#include "tests/unit/ipam/support.hpp"

namespace netctl::ipam::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::int64_t kSecond = 1'000'000'000;

class Pool : public StoreTest {
 protected:
  /// The addresses that a new container gets, as text.
  std::vector<std::string> give(const PoolConfig& pool, const std::string& id, AllocationRequest request = {},
                                const IsDead& is_dead = {}) {
    request.owner = container(id);
    if (request.now_boot_nanoseconds == 0) request.now_boot_nanoseconds = now_;
    std::vector<std::string> given;
    store_.write([&](Transaction& transaction) {
      leases_[id] = allocate(transaction, pool, request, is_dead);
      for (const LeaseRecord& lease : leases_[id]) given.push_back(lease.address.to_string());
    });
    return given;
  }
  std::vector<std::string> give_wanted(const PoolConfig& pool, const std::string& id,
                                       const std::vector<std::string>& wanted, const IsDead& is_dead = {}) {
    AllocationRequest request;
    for (const std::string& address : wanted) request.wanted.push_back(ip(address));
    return give(pool, id, request, is_dead);
  }
  void take_back(const std::string& id) {
    store_.write([&](Transaction& transaction) { release(transaction, leases_[id], container(id), now_); });
  }
  /// The refusal of a request.
  std::pair<ErrorCode, std::string> refusal(const std::function<void()>& action) {
    std::string message;
    const ErrorCode code = error_of(action, &message);
    return {code, message};
  }
  std::uint64_t count(const PoolConfig& pool) {
    std::uint64_t leased = 0;
    std::size_t listed = 0;
    store_.read([&](const Transaction& transaction) {
      leased = leased_count(transaction, pool.id);
      listed = list_leases(transaction, pool.id).size();
    });
    EXPECT_EQ(leased, listed);
    return leased;
  }

  std::int64_t now_ = 100 * kSecond;
  std::map<std::string, std::vector<LeaseRecord>> leases_;
};

TEST_F(Pool, GoesOnBehindTheLastAddressAndComesRound) {
  const PoolConfig pool = pool_of({{range("10.1.2.0/29")}});  // .1 is the gateway; .2 to .6 are leased
  EXPECT_THAT(give(pool, "a"), ElementsAre("10.1.2.2/29"));
  EXPECT_THAT(give(pool, "b"), ElementsAre("10.1.2.3/29"));
  take_back("a");
  now_ += 60 * kSecond;
  EXPECT_THAT(give(pool, "c"), ElementsAre("10.1.2.4/29"));
  EXPECT_THAT(give(pool, "d"), ElementsAre("10.1.2.5/29"));
  EXPECT_THAT(give(pool, "e"), ElementsAre("10.1.2.6/29"));
  EXPECT_THAT(give(pool, "f"), ElementsAre("10.1.2.2/29"));
  EXPECT_EQ(leases_["f"].front().gateway, ip("10.1.2.1"));
  EXPECT_EQ(leases_["f"].front().pool, pool.id);
}

TEST_F(Pool, AFullPoolSaysSoAndHelps) {
  const PoolConfig pool = pool_of({{range("10.1.2.0/30")}});
  give(pool, "a");
  EXPECT_THAT(refusal([&] { give(pool, "b"); }),
              ::testing::Pair(ErrorCode::kNoFreeAddress,
                              AllOf(HasSubstr("10.1.2.0/30 (10.1.2.1 to 10.1.2.2)"), HasSubstr("network net"),
                                    HasSubstr("all 1 are leased"), HasSubstr("netctl gc"))));
  EXPECT_EQ(count(pool), 1U);
}

TEST_F(Pool, PointToPointSubnetsGiveAllTheirAddresses) {
  const struct {
    const char* subnet;
    std::vector<std::string> given;
  } cases[] = {
      {"10.1.2.4/31", {"10.1.2.4/31", "10.1.2.5/31"}}, {"10.1.3.4/32", {"10.1.3.4/32"}},
      {"fd00::4/127", {"fd00::4/127", "fd00::5/127"}}, {"fd01::4/128", {"fd01::4/128"}},
      {"fd02::/126", {"fd02::2/126", "fd02::3/126"}},
  };
  for (const auto& each : cases) {
    PoolConfig pool = pool_of({{range(each.subnet)}});
    pool.id = pool_id("/data", each.subnet);
    for (const std::string& address : each.given) EXPECT_THAT(give(pool, address), ElementsAre(address));
    EXPECT_EQ(refusal([&] { give(pool, "one more"); }).first, ErrorCode::kNoFreeAddress);
  }
}

TEST_F(Pool, AWholeIpv6SubnetIsNotWalked) {
  const PoolConfig pool = pool_of({{range("fd00::/64")}});
  EXPECT_THAT(give(pool, "a"), ElementsAre("fd00::2/64"));
  PoolConfig excluding = pool;
  excluding.exclude = {prefix("fd00::/65")};
  EXPECT_THAT(give(excluding, "b"), ElementsAre("fd00::8000:0:0:0/64"));
  EXPECT_THAT(give_wanted(pool, "c", {"fd00::ffff:ffff:ffff:ffff"}),
              ElementsAre("fd00::ffff:ffff:ffff:ffff/64"));
}

TEST_F(Pool, TheLastAddressOfAllIsNotPassed) {
  const PoolConfig pool = pool_of({{range("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffc/126")}});
  EXPECT_THAT(give(pool, "a"), ElementsAre("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/126"));
  EXPECT_THAT(give(pool, "b"), ElementsAre("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/126"));
  EXPECT_EQ(refusal([&] { give(pool, "c"); }).first, ErrorCode::kNoFreeAddress);
}

TEST_F(Pool, ExclusionsAndGatewaysOfAllRangesArePassedOver) {
  PoolConfig pool = pool_of({{range("10.1.2.0/29"), range("10.1.3.0/29")}});
  pool.exclude = {prefix("10.1.2.2/31"), prefix("10.1.2.4/32"), prefix("10.1.3.2/32")};
  pool.sets[0][1].gateway = ip("10.1.2.5");
  EXPECT_THAT(give(pool, "a"), ElementsAre("10.1.2.6/29"));
  EXPECT_THAT(give(pool, "b"), ElementsAre("10.1.3.1/29"));  // not a gateway here
  EXPECT_THAT(give(pool, "c"), ElementsAre("10.1.3.3/29"));
}

TEST_F(Pool, SeveralRangesOfASetFollowEachOther) {
  const PoolConfig pool = pool_of({{range("10.1.2.0/30"), range("10.1.1.0/30"), range("10.1.3.0/31")}});
  EXPECT_THAT(give(pool, "a"), ElementsAre("10.1.2.2/30"));
  EXPECT_THAT(give(pool, "b"), ElementsAre("10.1.1.2/30"));
  EXPECT_THAT(give(pool, "c"), ElementsAre("10.1.3.0/31"));
  take_back("a");
  now_ += 60 * kSecond;
  EXPECT_THAT(give(pool, "d"), ElementsAre("10.1.3.1/31"));
  EXPECT_THAT(give(pool, "e"), ElementsAre("10.1.2.2/30"));
  EXPECT_EQ(refusal([&] { give(pool, "f"); }).first, ErrorCode::kNoFreeAddress);
}

TEST_F(Pool, ACursorOutsideTheConfiguredRangesStartsAfresh) {
  give(pool_of({{range("10.1.2.0/24")}}), "a");
  EXPECT_THAT(give(pool_of({{range("10.7.0.0/24")}}), "b"), ElementsAre("10.7.0.2/24"));
  EXPECT_THAT(give(pool_of({{range("fd00::/64")}}), "c"), ElementsAre("fd00::2/64"));
}

TEST_F(Pool, DualStackIsAllOrNothing) {
  const PoolConfig pool = pool_of({{range("10.1.2.0/24")}, {range("fd00::/127")}});
  EXPECT_THAT(give(pool, "a"), ElementsAre("10.1.2.2/24", "fd00::/127"));
  EXPECT_THAT(give(pool, "b"), ElementsAre("10.1.2.3/24", "fd00::1/127"));
  EXPECT_EQ(refusal([&] { give(pool, "c"); }).first, ErrorCode::kNoFreeAddress);
  EXPECT_EQ(count(pool), 4U);
  take_back("a");
  EXPECT_EQ(count(pool), 2U);
}

TEST_F(Pool, TheSameOwnerGetsNoSecondLease) {
  const PoolConfig pool = pool_of({{range("10.1.2.0/24")}});
  give(pool, "a");
  EXPECT_THAT(
      refusal([&] { give(pool, "a"); }),
      ::testing::Pair(ErrorCode::kAlreadyAttached, AllOf(HasSubstr("10.1.2.2"), HasSubstr("duplicate"))));
  EXPECT_THAT(refusal([&] { give_wanted(pool, "a", {"10.1.2.9"}); }).first, ErrorCode::kAlreadyAttached);
  take_back("a");
  EXPECT_THAT(give(pool, "a"), ElementsAre("10.1.2.3/24"));
}

TEST_F(Pool, WantedAddressesAreTakenFromTheirSets) {
  const PoolConfig pool = pool_of({{range("10.1.2.0/24"), range("10.1.3.0/24")}, {range("fd00::/64")}});
  EXPECT_THAT(give_wanted(pool, "a", {"fd00::9", "10.1.3.9"}), ElementsAre("10.1.3.9/24", "fd00::9/64"));
  EXPECT_THAT(give_wanted(pool, "b", {"fd00::a"}), ElementsAre("10.1.2.2/24", "fd00::a/64"));
}

TEST_F(Pool, WantedAddressesThatCannotBeGiven) {
  PoolConfig pool =
      pool_of({{range("10.1.2.0/24"), range("10.1.3.0/24", "10.1.3.0", "10.1.3.255")}, {range("fd00::/64")}});
  pool.exclude = {prefix("10.1.2.64/26")};
  const struct {
    std::vector<std::string> wanted;
    const char* complaint;
  } cases[] = {
      {{"10.9.9.9"}, "lies outside the ranges of network net: 10.1.2.0/24 (10.1.2.1 to 10.1.2.254), "},
      {{"fd01::1"}, "lies outside"},
      {{"10.1.2.1"}, "is the gateway"},
      {{"fd00::1"}, "is the gateway"},
      {{"10.1.2.65"}, "never leased"},
      {{"10.1.3.0"}, "never leased"},
      {{"10.1.3.255"}, "never leased"},
      {{"fd00::"}, "lies outside"},
      {{"10.1.2.8", "10.1.3.8"}, "same range set"},
  };
  for (const auto& each : cases) {
    EXPECT_THAT(refusal([&] { give_wanted(pool, "a", each.wanted); }),
                ::testing::Pair(ErrorCode::kInvalidConfig, HasSubstr(each.complaint)));
  }
  EXPECT_EQ(count(pool), 0U);
  EXPECT_THAT(give_wanted(pool, "a", {"10.1.2.8", "10.1.2.8"}), ElementsAre("10.1.2.8/24", "fd00::2/64"));
}

TEST_F(Pool, ATakenAddressNamesItsHolder) {
  const PoolConfig pool = pool_of({{range("10.1.2.0/24")}});
  give_wanted(pool, "a", {"10.1.2.9"});
  EXPECT_THAT(
      refusal([&] { give_wanted(pool, "b", {"10.1.2.9"}); }),
      ::testing::Pair(ErrorCode::kAddressTaken,
                      AllOf(HasSubstr("requested address 10.1.2.9 is held by container a (interface eth0)"),
                            HasSubstr("network net"), HasSubstr("remove that container"))));
  store_.write([&](Transaction& transaction) {
    AttachmentRecord record;
    record.key = container("a");
    record.container_name = "web";
    transaction.put_attachment(record);
  });
  EXPECT_THAT(refusal([&] { give_wanted(pool, "b", {"10.1.2.9"}); }).second, HasSubstr("container web (a)"));
}

TEST_F(Pool, TheAddressOfADeadHolderIsTakenOver) {
  const PoolConfig pool = pool_of({{range("10.1.2.0/24")}, {range("fd00::/64")}});
  give_wanted(pool, "dead", {"10.1.2.9", "fd00::9"});
  const IsDead is_dead = [](const AttachmentKey& holder) { return holder.container_id == "dead"; };
  EXPECT_THAT(give_wanted(pool, "a", {"10.1.2.9"}, is_dead), ElementsAre("10.1.2.9/24", "fd00::2/64"));
  EXPECT_EQ(count(pool), 3U);
  EXPECT_EQ(refusal([&] { give_wanted(pool, "b", {"10.1.2.9"}, is_dead); }).first, ErrorCode::kAddressTaken);
  take_back("dead");  // must not free what another one holds by now
  EXPECT_EQ(count(pool), 2U);
  store_.read([&](const Transaction& transaction) {
    EXPECT_EQ(find_holder(transaction, pool.id, ip("10.1.2.9")), container("a"));
    EXPECT_EQ(find_holder(transaction, pool.id, ip("fd00::9")), std::nullopt);
  });
  EXPECT_NO_THROW(give(pool, "dead"));
}

TEST_F(Pool, ReleasedAddressesRestUnlessTheyAreNeeded) {
  const PoolConfig pool = pool_of({{range("10.1.2.0/29")}});
  for (const char* id : {"a", "b", "c", "d"}) give(pool, id);  // .2 to .5
  take_back("c");
  now_ += kSecond;
  take_back("a");
  take_back("a");
  EXPECT_THAT(give(pool, "e"), ElementsAre("10.1.2.6/29"));
  EXPECT_THAT(give(pool, "f"), ElementsAre("10.1.2.4/29"))
      << "all that are free rest: the one released first is given";
  EXPECT_THAT(give(pool, "g"), ElementsAre("10.1.2.2/29"));
  take_back("b");
  EXPECT_THAT(give_wanted(pool, "h", {"10.1.2.3"}), ElementsAre("10.1.2.3/29")) << "asked for";
}

TEST_F(Pool, RestEndsAfterHalfAMinute) {
  const PoolConfig pool = pool_of({{range("10.1.2.0/29")}});
  for (const char* id : {"a", "b", "c", "d"}) give(pool, id);
  take_back("a");
  take_back("b");
  now_ += 30 * kSecond;
  take_back("c");
  EXPECT_THAT(give(pool, "e"), ElementsAre("10.1.2.6/29"));
  EXPECT_THAT(give(pool, "f"), ElementsAre("10.1.2.2/29"));
}

TEST_F(Pool, MoreReleasesThanAreRememberedDoNoHarm) {
  const PoolConfig pool = pool_of({{range("10.1.2.0/24")}});
  for (int i = 0; i < 253; ++i) give(pool, std::to_string(i));
  for (int i = 0; i < 253; ++i) take_back(std::to_string(i));
  EXPECT_EQ(count(pool), 0U);
  EXPECT_THAT(give(pool, "x"), ElementsAre("10.1.2.2/24"));
}

TEST_F(Pool, ReservationsBindTheirNamesAndNobodyElse) {
  const PoolConfig pool = pool_of({{range("10.1.2.0/29")}, {range("fd00::/64")}});
  AllocationRequest mine;
  mine.reserved_for_owner = {ip("10.1.2.4"), ip("fd00::44")};
  EXPECT_THAT(give(pool, "a", mine), ElementsAre("10.1.2.4/29", "fd00::44/64"));
  take_back("a");
  mine.wanted = {ip("10.1.2.5")};
  EXPECT_THAT(give(pool, "a", mine), ElementsAre("10.1.2.5/29", "fd00::44/64"));
  take_back("a");
  now_ += 60 * kSecond;

  AllocationRequest others;
  others.reserved_for_others = {ip("10.1.2.2"), ip("10.1.2.3"), ip("fd00::2")};
  EXPECT_THAT(give(pool, "b", others), ElementsAre("10.1.2.4/29", "fd00::3/64"));
  others.wanted = {ip("10.1.2.2")};
  EXPECT_THAT(refusal([&] { give(pool, "c", others); }),
              ::testing::Pair(ErrorCode::kAddressTaken, HasSubstr("reserved for another name")));
  AllocationRequest outside;
  outside.reserved_for_owner = {ip("10.9.9.9")};
  EXPECT_EQ(refusal([&] { give(pool, "d", outside); }).first, ErrorCode::kInvalidConfig);
}

TEST_F(Pool, PoolsDoNotSeeEachOther) {
  PoolConfig one = pool_of({{range("10.1.2.0/24")}});
  PoolConfig other = one;
  other.id = pool_id("/elsewhere", "net");
  EXPECT_EQ(give(one, "a"), give(other, "b"));
  EXPECT_EQ(count(one), 1U);
  store_.write([&](Transaction& transaction) { release(transaction, leases_["a"], container("b"), now_); });
  EXPECT_EQ(count(one), 1U) << "somebody else's lease was freed";
}

TEST_F(Pool, LeasesOfForeignIpamAreNotOurs) {
  store_.write([&](Transaction& transaction) {
    release(transaction, {{prefix("10.1.2.3/24"), {}, ""}}, container("a"), now_);
    EXPECT_EQ(error_of([&] { (void)leased_count(transaction, "no such thing"); }), ErrorCode::kInternal);
  });
}

}  // namespace
}  // namespace netctl::ipam::testing
