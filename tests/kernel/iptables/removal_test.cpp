// Taking out: what is gone already is success, what is somebody else's stays.

#include "tests/kernel/iptables/table_fixture.hpp"

namespace netctl::iptables {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

TEST_F(PolicyTableTest, WithdrawTakesOutExactlyThePorts) {
  install_sample();
  const std::vector<PublishedPort> more{sample::port(Protocol::kTcp, nullptr, 4000, "10.88.0.9", 80),
                                        sample::port(Protocol::kUdp, "10.0.0.9", 4001, "10.88.0.9", 4001, 5),
                                        sample::port(Protocol::kUdp, nullptr, 4002, "fd00:88::9", 5002, 3)};
  const std::string before = listing();
  ASSERT_EQ(table().put(sample::network(), more), PolicyTable::Put::kDone);
  EXPECT_NE(listing(), before);
  table().withdraw(more);
  EXPECT_EQ(listing(), before);
  table().withdraw(more);
  EXPECT_EQ(listing(), before);
}

TEST_F(PolicyTableTest, WithdrawLeavesAnothersElementAlone) {
  install_sample();
  const std::string before = listing();
  // The same keys as the sample's, but leading elsewhere; the first was never there.
  const std::vector<PublishedPort> not_ours{
      sample::port(Protocol::kTcp, nullptr, 4000, "10.88.0.9", 80),
      sample::port(Protocol::kTcp, nullptr, 8080, "10.88.0.9", 80),
      sample::port(Protocol::kTcp, nullptr, 9000, "10.88.0.9", 9000, 3),
      sample::port(Protocol::kTcp, nullptr, 9001, "10.88.0.9", 9001, 2)};
  table().withdraw(not_ours);
  EXPECT_EQ(listing(), before);
}

TEST_F(PolicyTableTest, WithdrawWithoutTableIsSuccess) {
  table().withdraw(sample::ports());
  table().remove_network(sample::network());
  EXPECT_TRUE(table().remove_table());
  EXPECT_THAT(listing(), IsEmpty());
}

TEST_F(PolicyTableTest, WithdrawWorksInADamagedTable) {
  install_sample();
  nft("flush chain inet netctl publish; delete map inet netctl publish6; delete map inet netctl "
      "publish4_ranges");
  table().withdraw(sample::ports());
  EXPECT_THAT(listing(), Not(HasSubstr("comment \"web\"")));
  nft("flush chain inet netctl published; flush chain inet netctl forward; delete set inet netctl "
      "same_links");
  table().remove_network(sample::network());
  EXPECT_THAT(listing(), Not(HasSubstr("lab0")));
  EXPECT_THAT(table().list_network_chains(), IsEmpty());
}

TEST_F(PolicyTableTest, RemoveNetworkLeavesTheOthers) {
  NetworkPolicy other;
  other.network = "other";
  other.link = "other0";
  other.masquerade = {sample::prefix("10.89.0.0/16"), sample::prefix("fd00:89::/64")};
  other.publishes = true;
  table().install(other);
  const std::string before = listing();
  table().install(sample::network());
  EXPECT_EQ(table().list_network_chains().size(), 2U);
  table().remove_network(sample::network());
  EXPECT_EQ(listing(), before);
  EXPECT_THAT(table().list_network_chains(), ElementsAre(chain_name("other")));
  table().remove_network(sample::network());
  EXPECT_EQ(listing(), before);
}

TEST_F(PolicyTableTest, RemoveNetworkFindsSubnetsThatItsPolicyForgot) {
  table().install(sample::network());
  NetworkPolicy shrunk = sample::network();
  shrunk.masquerade.resize(1);
  table().remove_network(shrunk);
  EXPECT_THAT(table().list_network_chains(), IsEmpty());
  EXPECT_THAT(listing(), Not(HasSubstr("jump net-")));
}

TEST_F(PolicyTableTest, RemoveNetworkLeavesAnothersSubnetAlone) {
  table().install(sample::network());
  const std::string before = listing();
  NetworkPolicy other;
  other.network = "other";
  other.masquerade = {sample::prefix("10.88.0.0/16"), sample::prefix("fd00:88::/80")};
  table().remove_network(other);
  EXPECT_EQ(listing(), before);
}

TEST_F(PolicyTableTest, OrphanedChainIsRemovedByName) {
  install_sample();
  table().withdraw(sample::ports());
  ASSERT_THAT(table().list_network_chains(), ElementsAre(chain_name("lab")));
  table().remove_network_chain(chain_name("lab"));
  EXPECT_THAT(table().list_network_chains(), IsEmpty());
  EXPECT_THAT(listing(), Not(HasSubstr("lab0")));
  EXPECT_THAT(listing(), Not(HasSubstr("elements")));
  table().remove_network_chain(chain_name("lab"));
  EXPECT_EQ(error_of([&] { table().remove_network_chain("forward"); }).code(), ErrorCode::kInternal);
}

TEST_F(PolicyTableTest, RemoveTableIsAnUninstall) {
  install_sample();
  EXPECT_TRUE(table().remove_table());
  EXPECT_THAT(listing(), IsEmpty());
  EXPECT_TRUE(table().remove_table());
}

TEST_F(PolicyTableTest, RemoveTableKeepsOperatorsRules) {
  install_sample();
  nft("add chain inet netctl user-extra; add rule inet netctl user-extra counter");
  EXPECT_FALSE(table().remove_table());
  EXPECT_THAT(listing(), HasSubstr("user-extra"));
  nft("flush chain inet netctl user-extra");
  EXPECT_TRUE(table().remove_table());
  EXPECT_THAT(listing(), IsEmpty());
}

}  // namespace
}  // namespace netctl::iptables
