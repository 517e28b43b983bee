// Two owners, one key: the second is told who the first is, and nothing is changed.

#include "tests/kernel/iptables/table_fixture.hpp"

namespace netctl::iptables {
namespace {

using ::testing::HasSubstr;

class PortConflictTest : public PolicyTableTest {
 protected:
  /// Puts `held` for "database", then tries `wanted` together with a port that is free.
  Error conflict_of(PublishedPort held, const PublishedPort& wanted) {
    held.comment = "database";
    table().install(sample::network());
    EXPECT_EQ(table().put(sample::network(), {&held, 1}), PolicyTable::Put::kDone);
    const std::string before = listing();
    const std::vector<PublishedPort> both{sample::port(Protocol::kTcp, nullptr, 1234, "10.88.0.9", 1234),
                                          wanted};
    Error error = error_of([&] { (void)table().put(sample::network(), both); });
    EXPECT_EQ(listing(), before);
    return error;
  }
};

TEST_F(PortConflictTest, NamesTheHolder) {
  const Error error = conflict_of(sample::port(Protocol::kTcp, nullptr, 5432, "10.88.0.2", 5432),
                                  sample::port(Protocol::kTcp, nullptr, 5432, "10.88.0.9", 5432));
  EXPECT_EQ(error.code(), ErrorCode::kPortTaken);
  EXPECT_EQ(error.message(),
            "tcp port 5432 is published already by \"database\"; choose another host port or remove that "
            "container");
  EXPECT_EQ(error.details(), "publish4 { tcp . 5432 : 10.88.0.2 . 5432 }");
}

TEST_F(PortConflictTest, OfOneHostAddress) {
  const Error error = conflict_of(sample::port(Protocol::kUdp, "fd00::1", 53, "fd00:88::2", 53),
                                  sample::port(Protocol::kUdp, "fd00::1", 53, "fd00:88::9", 53));
  EXPECT_EQ(error.code(), ErrorCode::kPortTaken);
  EXPECT_THAT(error.message(), HasSubstr("udp port 53 of fd00::1 is published already by \"database\""));
}

TEST_F(PortConflictTest, OfEqualRanges) {
  const Error error = conflict_of(sample::port(Protocol::kTcp, nullptr, 9000, "10.88.0.2", 9000, 10),
                                  sample::port(Protocol::kTcp, nullptr, 9000, "10.88.0.9", 9000, 10));
  EXPECT_EQ(error.code(), ErrorCode::kPortTaken);
}

TEST_F(PortConflictTest, OfOverlappingRanges) {
  const Error error = conflict_of(sample::port(Protocol::kTcp, "10.0.0.1", 9000, "10.88.0.2", 9000, 10),
                                  sample::port(Protocol::kTcp, "10.0.0.1", 9005, "10.88.0.9", 9005, 10));
  EXPECT_EQ(error.code(), ErrorCode::kPortTaken);
  EXPECT_THAT(error.message(), HasSubstr("\"database\""));
}

TEST_F(PortConflictTest, OfAHolderWithoutComment) {
  table().install(sample::network());
  nft("add element inet netctl publish4 { tcp . 5432 : 10.88.0.2 . 5432 }");
  const std::vector<PublishedPort> wanted{sample::port(Protocol::kTcp, nullptr, 5432, "10.88.0.9", 5432)};
  const Error error = error_of([&] { (void)table().put(sample::network(), wanted); });
  EXPECT_EQ(error.code(), ErrorCode::kPortTaken);
  EXPECT_THAT(error.message(), HasSubstr("somebody who left no comment"));
}

TEST_F(PortConflictTest, EqualPortOfAnotherOwnerIsNone) {
  table().install(sample::network());
  std::vector<PublishedPort> ports = sample::ports();
  ASSERT_EQ(table().put(sample::network(), ports), PolicyTable::Put::kDone);
  const std::string before = listing();
  for (PublishedPort& port : ports) port.comment = "the same by another plugin";
  EXPECT_EQ(table().put(sample::network(), ports), PolicyTable::Put::kDone);
  EXPECT_EQ(listing(), before);
}

TEST_F(PortConflictTest, RangesToOneContainerMayShareTargets) {
  table().install(sample::network());
  const std::vector<PublishedPort> ports{
      sample::port(Protocol::kTcp, "10.0.0.1", 9000, "10.88.0.2", 9000, 10),
      sample::port(Protocol::kTcp, "10.0.0.2", 9005, "10.88.0.2", 9005, 10)};
  const std::string before = listing();
  EXPECT_EQ(table().put(sample::network(), ports), PolicyTable::Put::kDone);
  table().withdraw(ports);
  EXPECT_EQ(listing(), before);
}

class SubnetConflictTest : public PolicyTableTest {
 protected:
  Error conflict_of(const char* wanted) {
    table().install(sample::network());
    const std::string before = listing();
    NetworkPolicy other;
    other.network = "other";
    other.masquerade = {sample::prefix(wanted)};
    Error error = error_of([&] { table().install(other); });
    EXPECT_EQ(listing(), before);
    return error;
  }
};

TEST_F(SubnetConflictTest, SameSubnetNamesTheNetwork) {
  const Error error = conflict_of("10.88.0.0/16");
  EXPECT_EQ(error.code(), ErrorCode::kSubnetUnavailable);
  EXPECT_EQ(error.message(),
            "subnet 10.88.0.0/16 overlaps 10.88.0.0/16 of network \"lab\"; choose another subnet or remove "
            "that network");
}

TEST_F(SubnetConflictTest, SubnetInside) {
  EXPECT_EQ(conflict_of("10.88.7.0/24").code(), ErrorCode::kSubnetUnavailable);
}

TEST_F(SubnetConflictTest, SubnetAround) {
  EXPECT_EQ(conflict_of("fd00:88::/32").code(), ErrorCode::kSubnetUnavailable);
}

TEST_F(SubnetConflictTest, SubnetAtTheSameStart) {
  EXPECT_EQ(conflict_of("10.88.0.0/24").code(), ErrorCode::kSubnetUnavailable);
}

TEST_F(SubnetConflictTest, NeighbouringSubnetsAreFine) {
  table().install(sample::network());
  NetworkPolicy other;
  other.network = "other";
  other.masquerade = {sample::prefix("10.87.0.0/16"), sample::prefix("10.89.0.0/16"),
                      sample::prefix("fd00:88:0:1::/64")};
  table().install(other);
  EXPECT_THAT(table().find_drift(sample::network(), {}), ::testing::IsEmpty());
  EXPECT_THAT(table().find_drift(other, {}), ::testing::IsEmpty());
  EXPECT_EQ(table().put(sample::network(), {}), PolicyTable::Put::kDone);
  EXPECT_EQ(table().put(other, {}), PolicyTable::Put::kDone);
}

}  // namespace
}  // namespace netctl::iptables
