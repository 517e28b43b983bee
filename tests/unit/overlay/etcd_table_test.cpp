// What follows from keys: who is a peer, what is free, and that nothing old or foreign takes anything away.

#include "plugins/overlay/source/etcd_table.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"

namespace netctl::overlay::etcd {
namespace {

Application application() {
  Application made;
  made.config.network = "lab";
  made.config.vni = 7;
  made.config.subnets = {*IpPrefix::parse("10.64.0.0/22")};
  made.self = {{"self", *IpAddress::parse("192.0.2.1"), {}, {}}, "id"};
  return made;
}

class EtcdTable : public testing::Test {
 protected:
  EtcdTable() : table(application(), "c") {}

  KeyValue block(std::uint32_t number, const std::string& node, const std::string& vtep,
                 std::int64_t revision) {
    const NodeRecord record{{node, *IpAddress::parse(vtep), table.plan().blocks(number), {}}, "id-" + node};
    return {table.block_key(number), to_text(record), revision, revision, 0};
  }
  std::vector<std::string> peers() {
    View view;
    table.fill(view);
    std::vector<std::string> names;
    for (const auto& [name, peer] : view.peers) names.push_back(name + (peer.alive ? "+" : ""));
    rejected = view.rejected;
    return names;
  }

  Table table;
  std::vector<std::string> rejected;
};

TEST_F(EtcdTable, KeysAreWhereOtherVersionsExpectThem) {
  EXPECT_EQ(table.block_key(10), "/netctl/v1/c/net/lab/block/0000000a");
  EXPECT_EQ(table.vni_key(), "/netctl/v1/c/vni/7");
}

TEST_F(EtcdTable, ListsAndEvents) {
  table.replace({1, 5}, {block(0, "a", "192.0.2.2", 3), {table.alive_key("a"), "x", 4, 4, 9}}, 0);
  EXPECT_THAT(peers(), testing::ElementsAre("a+"));
  table.apply({{false, block(2, "b", "192.0.2.3", 6)}, {true, {table.alive_key("a"), "", 0, 7, 0}}});
  EXPECT_THAT(peers(), testing::ElementsAre("a", "b"));
  table.apply({{true, {table.block_key(2), "", 0, 5, 0}}});  // older than the list
  table.apply({{true, {table.block_key(2), "", 0, 6, 0}}});  // older than the key
  EXPECT_THAT(peers(), testing::ElementsAre("a", "b"));
  table.apply({{true, {table.block_key(2), "", 0, 8, 0}}});
  EXPECT_THAT(peers(), testing::ElementsAre("a"));
  EXPECT_EQ(table.revision(), 8);
}

TEST_F(EtcdTable, AnotherClusterOrAnOlderStateTakesNothingAway) {
  table.replace({1, 5}, {block(0, "a", "192.0.2.2", 3)}, 0);
  EXPECT_THROW(table.replace({2, 9}, {}, 5), Error);
  EXPECT_THROW(table.replace({1, 4}, {}, 5), Error);
  EXPECT_THAT(peers(), testing::ElementsAre("a"));
  table.apply({{false, block(1, "b", "192.0.2.3", 7)}});
  table.replace({1, 6}, {}, 5);  // asked before the event came: overtaken
  EXPECT_THAT(peers(), testing::ElementsAre("a", "b"));
  table.replace({1, 7}, {block(1, "b", "192.0.2.3", 7)}, 7);
  EXPECT_THAT(peers(), testing::ElementsAre("b"));
}

TEST_F(EtcdTable, AnUnreadableRecordLeavesWhatWasKnown) {
  table.replace({1, 5}, {block(0, "a", "192.0.2.2", 3)}, 0);
  table.apply({{false, {table.block_key(0), "nonsense", 3, 6, 0}}});
  table.apply({{false, {table.block_key(1), "{}", 7, 7, 0}}});
  KeyValue wrong_blocks = block(2, "c", "192.0.2.4", 8);
  wrong_blocks.key = table.block_key(3);
  table.apply({{false, wrong_blocks}});
  EXPECT_THAT(peers(), testing::ElementsAre("a"));
  EXPECT_EQ(rejected.size(), 3U);
  EXPECT_EQ(table.free_number(0), 2U);
  EXPECT_EQ(table.free_number(17), 2U);
}

TEST_F(EtcdTable, OfTwoNodesWithOneVtepTheFirstStays) {
  table.replace(
      {1, 9},
      {block(0, "late", "192.0.2.2", 8), block(1, "early", "192.0.2.2", 3), block(2, "v6", "2001:db8::1", 4)},
      0);
  EXPECT_THAT(peers(), testing::ElementsAre("early"));
  EXPECT_EQ(rejected.size(), 2U);
}

TEST_F(EtcdTable, AFreeNumberIsChosenAmongThoseThatThereAre) {
  table.replace({1, 5}, {block(3, "a", "192.0.2.2", 3), block(0, "b", "192.0.2.3", 4)}, 0);
  EXPECT_EQ(table.free_number(0), 1U);
  EXPECT_EQ(table.free_number(3), 2U);
  table.apply({{false, block(1, "c", "192.0.2.4", 6)}, {false, block(2, "d", "192.0.2.5", 7)}});
  EXPECT_EQ(table.free_number(3), std::nullopt);
  EXPECT_EQ(table.of("c")->number, 1U);
  EXPECT_FALSE(table.own());
}

}  // namespace
}  // namespace netctl::overlay::etcd
