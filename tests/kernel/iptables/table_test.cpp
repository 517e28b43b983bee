// Making the table: what `nft` prints of it, and that doing things twice is doing them once.

#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <thread>

#include "iptables/nft_batch.hpp"
#include "iptables/nft_reader.hpp"
#include "iptables/tunnel_guard.hpp"
#include "tests/kernel/iptables/table_fixture.hpp"

namespace netctl::iptables {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

std::string committed_listing() {
  std::ifstream file(GOLDEN_FOLDER "/table.nft");
  std::ostringstream text;
  text << file.rdbuf();
  return with_sorted_elements(text.str());
}

TEST_F(PolicyTableTest, PutWithoutTableChangesNothing) {
  EXPECT_EQ(table().put(sample::network(), sample::ports()), PolicyTable::Put::kTableMissing);
  EXPECT_THAT(listing(), IsEmpty());
}

TEST_F(PolicyTableTest, PutOfNothingNeedsNoTable) {
  EXPECT_EQ(table().put(NetworkPolicy{}, {}), PolicyTable::Put::kDone);
  EXPECT_THAT(listing(), IsEmpty());
}

TEST_F(PolicyTableTest, PutWithoutTheNetworksChainChangesNothing) {
  NetworkPolicy other = sample::network();
  other.network = "other";
  table().install(other);
  table().remove_network(other);
  const std::string before = listing();
  EXPECT_EQ(table().put(sample::network(), sample::ports()), PolicyTable::Put::kTableMissing);
  EXPECT_EQ(listing(), before);
}

TEST_F(PolicyTableTest, ListsAsCommitted) {
  install_sample();
  synchronise_tunnels(nf_socket(), sample::tunnels());
  EXPECT_EQ(listing(), committed_listing());
}

TEST_F(PolicyTableTest, ListingCanBeReadBack) {
  install_sample();
  const std::string before = listing();
  const std::string path = ::testing::TempDir() + "netctl-listing-" + std::to_string(::getpid()) + ".nft";
  std::ofstream(path) << testing::output_of({"nft", "list", "ruleset"});
  nft("delete table inet netctl");
  testing::output_of({"nft", "-f", path});
  std::remove(path.c_str());
  EXPECT_EQ(listing(), before);
  EXPECT_THAT(table().find_drift(sample::network(), sample::ports()), IsEmpty());
  EXPECT_EQ(table().put(sample::network(), sample::ports()), PolicyTable::Put::kDone);
  EXPECT_EQ(listing(), before);
}

TEST_F(PolicyTableTest, ListsAsJson) {
  install_sample();
  bool is_found = false;
  const nlohmann::json ruleset = testing::nft_json({"list", "ruleset"});
  for (const auto& object : ruleset.at("nftables")) {
    if (!object.contains("map") || object.at("map").at("name") != "publish4_ip") continue;
    is_found = true;
    const auto& element = object.at("map").at("elem").at(0);
    EXPECT_EQ(element.at(0).at("elem").at("val").at("concat"),
              nlohmann::json::parse(R"(["127.0.0.1", "udp", 5353])"));
    EXPECT_EQ(element.at(0).at("elem").at("comment"), "web");
    EXPECT_EQ(element.at(1).at("concat"), nlohmann::json::parse(R"(["10.88.0.2", 53])"));
  }
  EXPECT_TRUE(is_found);
}

TEST_F(PolicyTableTest, InstallAndPutTwiceAreTheSameAsOnce) {
  install_sample();
  const std::string once = listing();
  install_sample();
  EXPECT_EQ(listing(), once);
}

TEST_F(PolicyTableTest, RebuildAfterTheTableWasDeletedMakesItAgain) {
  install_sample();
  const std::string before = listing();
  nft("delete table inet netctl");
  const std::vector<NetworkPolicy> networks{sample::network()};
  table().rebuild(networks, sample::ports());
  EXPECT_EQ(listing(), before);
  nft("flush ruleset");
  table().rebuild(networks, sample::ports());
  EXPECT_EQ(listing(), before);
}

TEST_F(PolicyTableTest, RebuildPutsBackWhatWasChangedByHand) {
  install_sample();
  const std::string before = listing();
  nft("flush chain inet netctl forward");
  nft("add rule inet netctl publish counter");
  nft("flush map inet netctl publish4");
  nft("flush map inet netctl masquerade4");
  nft("flush chain inet netctl " + chain_name("lab"));
  EXPECT_NE(listing(), before);
  const std::vector<NetworkPolicy> networks{sample::network()};
  table().rebuild(networks, sample::ports());
  EXPECT_EQ(listing(), before);
}

TEST_F(PolicyTableTest, InstallFollowsAChangedPolicy) {
  install_sample();
  NetworkPolicy changed = sample::network();
  changed.isolated = false;
  changed.internal = false;
  changed.masquerade_exclude.clear();
  table().install(changed);
  EXPECT_THAT(table().find_drift(changed, sample::ports()), IsEmpty());
  EXPECT_THAT(testing::output_of({"nft", "list", "set", "inet", "netctl", "isolated_links"}),
              Not(HasSubstr("lab0")));
  EXPECT_THAT(testing::output_of({"nft", "list", "chain", "inet", "netctl", chain_name("lab")}),
              Not(HasSubstr("192.168.4.0/22")));
}

TEST_F(PolicyTableTest, OperatorsRulesSurviveEverything) {
  install_sample();
  nft("add rule inet netctl user-forward tcp dport 25 drop");
  nft("add rule inet netctl user-prerouting udp dport 53 accept");
  install_sample();
  table().remove_network(sample::network());
  EXPECT_FALSE(table().remove_table());
  install_sample();
  EXPECT_THAT(listing(), HasSubstr("tcp dport 25 drop"));
  EXPECT_THAT(listing(), HasSubstr("udp dport 53 accept"));
}

TEST_F(PolicyTableTest, OtherTablesAreLeftAlone) {
  nft("add table ip filter; add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; "
      "}; "
      "add rule ip filter FORWARD tcp dport 80 accept; add table inet other");
  const std::string before = listing();
  install_sample();
  EXPECT_NE(listing(), before);
  table().withdraw(sample::ports());
  table().remove_network(sample::network());
  EXPECT_TRUE(table().remove_table());
  EXPECT_EQ(listing(), before);
}

TEST_F(PolicyTableTest, CommentsCannotBreakTheListing) {
  table().install(sample::network());
  std::vector<PublishedPort> ports{sample::port(Protocol::kTcp, nullptr, 80, "10.88.0.2", 80)};
  ports[0].comment = "\" : 10.0.0.1 . 1 } }; flush ruleset; #\n" + std::string(300, 'x');
  ASSERT_EQ(table().put(sample::network(), ports), PolicyTable::Put::kDone);
  const std::string before = listing();
  const std::string path = ::testing::TempDir() + "netctl-comment-" + std::to_string(::getpid()) + ".nft";
  std::ofstream(path) << testing::output_of({"nft", "list", "ruleset"});
  nft("flush ruleset");
  testing::output_of({"nft", "-f", path});
  std::remove(path.c_str());
  EXPECT_EQ(listing(), before);
}

TEST_F(PolicyTableTest, PortsAreListed) {
  install_sample();
  std::vector<PublishedPort> listed = table().list_ports();
  std::vector<PublishedPort> expected;
  for (PublishedPort port : sample::ports()) {
    if (port.host_ip && port.host_ip->is_unspecified()) port.host_ip.reset();
    const bool is_shifted = port.count > 1 && port.host_port != port.container_port;
    for (unsigned i = 0; is_shifted && i < port.count; ++i) {
      expected.push_back(
          sample::port(port.protocol, nullptr, port.host_port + i, "10.88.0.2", port.container_port + i));
    }
    if (!is_shifted) expected.push_back(port);
  }
  EXPECT_THAT(listed, ::testing::UnorderedElementsAreArray(expected));
  nft("flush ruleset");
  EXPECT_THAT(table().list_ports(), IsEmpty());
}

TEST_F(PolicyTableTest, TenThousandPortsComeAndGo) {
  std::vector<PublishedPort> many;
  for (unsigned i = 0; i < 10000; ++i) {
    many.push_back(sample::port(Protocol::kTcp, nullptr, 10000 + i, "10.88.0.2", 10000 + i));
    many.back().comment = std::string(120, 'c');
  }
  table().install(sample::network());
  const std::string before = listing();
  ASSERT_EQ(table().put(sample::network(), many), PolicyTable::Put::kDone);
  EXPECT_EQ(table().list_ports().size(), many.size());
  const std::vector<NetworkPolicy> networks{sample::network()};
  nft("flush ruleset");
  table().rebuild(networks, many);
  EXPECT_EQ(table().list_ports().size(), many.size());
  table().withdraw(many);
  EXPECT_EQ(listing(), before);
}

TEST_F(PolicyTableTest, ConcurrentPutAndWithdrawDoNotDisturbEachOther) {
  table().install(sample::network());
  const std::string before = listing();
  std::atomic<int> failures = 0;
  std::vector<std::thread> threads;  // a thread starts in the namespace of the one that makes it
  for (unsigned worker = 0; worker < 4; ++worker) {
    threads.emplace_back([worker, &failures] {
      try {
        netlink::Socket socket = netlink::Socket::open(netlink::Bus::kNetfilter);
        PolicyTable mine(socket);
        for (unsigned i = 0; i < 100; ++i) {
          const std::vector<PublishedPort> ports{sample::port(
              Protocol::kTcp, nullptr, 1000 * (worker + 1) + i, "10.88.0.2", 1000 * (worker + 1) + i)};
          if (mine.put(sample::network(), ports) != PolicyTable::Put::kDone) ++failures;
          mine.withdraw(ports);
        }
      } catch (const Error& error) {
        ADD_FAILURE() << error.message();
        ++failures;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(listing(), before);
}

TEST_F(PolicyTableTest, BatchOfAnOldGenerationIsRefused) {
  install_sample();
  NftBatch batch(NftReader(nf_socket()).generation());
  nft("add rule inet netctl user-forward counter");
  batch.delete_table();
  const std::vector<NftBatch::Refusal> refusals = batch.commit(nf_socket());
  ASSERT_EQ(refusals.size(), 1U);
  EXPECT_EQ(refusals[0].sys_errno, ERESTART);
  EXPECT_THAT(listing(), HasSubstr("table inet netctl"));
}

}  // namespace
}  // namespace netctl::iptables
