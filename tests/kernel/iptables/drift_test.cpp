// Each kind of thing that somebody may take away or change by hand is found, and named.

#include "tests/kernel/iptables/table_fixture.hpp"

namespace netctl::iptables {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class DriftTest : public PolicyTableTest {
 protected:
  void SetUp() override {
    PolicyTableTest::SetUp();
    install_sample();
  }
  std::vector<std::string> drift_after(const std::string& command) {
    EXPECT_THAT(drift(), IsEmpty());
    nft(command);
    const std::string before = listing();
    std::vector<std::string> lines = drift();
    EXPECT_EQ(listing(), before) << "looking changes nothing";
    return lines;
  }
  std::vector<std::string> drift() { return table().find_drift(sample::network(), sample::ports()); }
};

TEST_F(DriftTest, Table) {
  EXPECT_THAT(drift_after("delete table inet netctl"), ElementsAre("table inet netctl is missing"));
}

TEST_F(DriftTest, Set) {
  EXPECT_THAT(
      drift_after("flush chain inet netctl publish; delete map inet netctl publish6_ip"),
      ElementsAre("map publish6_ip is missing", "the rules of chain publish are not as netctl made them",
                  "publish6_ip { fd00::1 . udp . 5353 : fd00:88::2 . 53 } is missing"));
}

TEST_F(DriftTest, BaseChain) {
  EXPECT_THAT(
      drift_after("delete chain inet netctl raw_guard"),
      ElementsAre("chain raw_guard is missing", "the rules of chain raw_guard are not as netctl made them"));
}

TEST_F(DriftTest, BaseChainAtAnotherPlace) {
  EXPECT_THAT(
      drift_after("delete chain inet netctl raw_guard; add chain inet netctl raw_guard { type filter hook "
                  "prerouting priority 0; }; add rule inet netctl raw_guard ip daddr 127.0.0.0/8 iifname "
                  "@guarded_links drop; add rule inet netctl raw_guard ip saddr 127.0.0.0/8 iifname "
                  "@guarded_links drop"),
      ElementsAre("chain raw_guard has another type, hook or priority"));
}

TEST_F(DriftTest, OperatorsChain) {
  EXPECT_THAT(
      drift_after("flush chain inet netctl forward; delete chain inet netctl user-forward"),
      ElementsAre("chain user-forward is missing", "the rules of chain forward are not as netctl made them"));
}

TEST_F(DriftTest, OperatorsRulesAreNone) {
  EXPECT_THAT(drift_after("add rule inet netctl user-forward tcp dport 25 drop"), IsEmpty());
}

TEST_F(DriftTest, FlushedRules) {
  EXPECT_EQ(drift_after("flush table inet netctl").size(), 11U)
      << "ten base chains and the one of the network";
}

TEST_F(DriftTest, ForeignRuleInOurChain) {
  EXPECT_THAT(drift_after("insert rule inet netctl forward accept"),
              ElementsAre("the rules of chain forward are not as netctl made them"));
}

TEST_F(DriftTest, RuleOfTheNetwork) {
  EXPECT_THAT(drift_after("flush chain inet netctl " + chain_name("lab")),
              ElementsAre("the rules of chain " + chain_name("lab") + " are not as netctl made them"));
}

TEST_F(DriftTest, ChainOfTheNetwork) {
  const std::vector<std::string> lines = drift_after(
      "flush map inet netctl masquerade4; flush map inet netctl masquerade6; delete chain inet netctl " +
      chain_name("lab"));
  EXPECT_THAT(lines, ElementsAre("chain " + chain_name("lab") + " of network lab is missing",
                                 "the rules of chain " + chain_name("lab") + " are not as netctl made them",
                                 HasSubstr("masquerade4 { 10.88.0.0/16 : jump net-"),
                                 HasSubstr("masquerade6 { fd00:88::/64 : jump net-")));
}

TEST_F(DriftTest, SinglePort) {
  EXPECT_THAT(drift_after("delete element inet netctl publish4 { tcp . 8080 }"),
              ElementsAre("publish4 { tcp . 8080 : 10.88.0.2 . 80 } is missing"));
}

TEST_F(DriftTest, Range) {
  EXPECT_THAT(drift_after("delete element inet netctl publish4_ip_ranges { 10.0.0.1 . udp . 7000-7001 }"),
              ElementsAre("publish4_ip_ranges { 10.0.0.1 . udp . 7000-7001 : 10.88.0.2 } is missing"));
}

TEST_F(DriftTest, ShortenedRange) {
  EXPECT_THAT(drift_after("delete element inet netctl publish6_ranges { tcp . 9000-9002 }; "
                          "add element inet netctl publish6_ranges { tcp . 9000-9001 : fd00:88::2 }"),
              ElementsAre(HasSubstr("publish6_ranges { tcp . 9000-9002 : fd00:88::2 } is ")));
}

TEST_F(DriftTest, PortThatLeadsElsewhere) {
  EXPECT_THAT(drift_after("delete element inet netctl publish4 { tcp . 8080 }; "
                          "add element inet netctl publish4 { tcp . 8080 : 10.88.0.66 . 80 }"),
              ElementsAre("publish4 { tcp . 8080 : 10.88.0.2 . 80 } is different: "
                          "publish4 { tcp . 8080 : 10.88.0.66 . 80 }"));
}

TEST_F(DriftTest, Target) {
  EXPECT_THAT(drift_after("delete element inet netctl published_targets6 { fd00:88::2 . sctp . 80 }"),
              ElementsAre("published_targets6 { fd00:88::2 . sctp . 80 } is missing"));
}

TEST_F(DriftTest, ShortenedSubnet) {
  EXPECT_THAT(drift_after("delete element inet netctl masquerade4 { 10.88.0.0/16 }; add element inet netctl "
                          "masquerade4 { 10.88.0.0/17 : jump " +
                          chain_name("lab") + " }"),
              ElementsAre(HasSubstr("masquerade4 { 10.88.0.0/16 : jump " + chain_name("lab") + " } is ")));
}

TEST_F(DriftTest, Links) {
  for (const char* set : {"own_links", "guarded_links", "isolated_links", "internal_links"}) {
    nft(std::string("delete element inet netctl ") + set + " { \"lab0\" }");
    EXPECT_THAT(drift(), ElementsAre(std::string(set) + " { \"lab0\" } is missing"));
    ASSERT_EQ(table().put(sample::network(), {}), PolicyTable::Put::kDone);
  }
  EXPECT_THAT(drift_after("delete element inet netctl same_links { \"lab0\" . \"lab0\" }"),
              ElementsAre("same_links { \"lab0\" . \"lab0\" } is missing"));
}

TEST_F(DriftTest, LinkWhereItShouldNotBe) {
  NetworkPolicy open = sample::network();
  open.internal = false;
  EXPECT_THAT(table().find_drift(open, {}), ElementsAre("internal_links { \"lab0\" } should not be there"));
}

}  // namespace
}  // namespace netctl::iptables
