#include "netlink/traffic_control.hpp"

#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

#include <cstring>
#include <map>
#include <set>

#include <gmock/gmock.h>

#include "tests/unit/netlink/hex.hpp"
#include "tests/unit/netlink/recorded_traffic_control.hpp"

namespace netctl::netlink {
namespace {

constexpr std::uint32_t kHandle = 0x6e630000;
constexpr std::size_t kHeaders = sizeof(nlmsghdr) + sizeof(tcmsg);

/// Place of an attribute ("/2/7/1") -> its bytes; texts lose their terminator, which is a matter of taste.
using Tree = std::map<std::string, std::vector<std::uint8_t>>;

void flatten(Bytes attributes, const std::string& place, const std::set<std::string>& nests, Tree& tree) {
  for (const Attribute& attribute : parse_attributes(attributes)) {
    const std::string here = place + "/" + std::to_string(attribute.type);
    if (nests.contains(here)) {
      flatten(attribute.payload, here, nests, tree);
      continue;
    }
    std::vector<std::uint8_t> payload(attribute.payload.begin(), attribute.payload.end());
    if (here == "/1" || here == "/2/7/1/1") {
      while (!payload.empty() && payload.back() == 0) payload.pop_back();
    }
    tree[here] = payload;
  }
}

/// Everything of a message that the kernel looks at, except sequence and port.
Tree tree_of(Bytes message) {
  nlmsghdr header{};
  std::memcpy(&header, message.data(), sizeof header);
  EXPECT_EQ(header.nlmsg_len, message.size());
  Tree tree;
  tree["type"] = {static_cast<std::uint8_t>(header.nlmsg_type)};
  tree["flags"] = {static_cast<std::uint8_t>(header.nlmsg_flags >> 8),
                   static_cast<std::uint8_t>(header.nlmsg_flags)};
  const Bytes fixed = message.subspan(sizeof header, sizeof(tcmsg));
  tree["header"] = {fixed.begin(), fixed.end()};
  flatten(message.subspan(kHeaders), "", {"/2", "/2/7", "/2/7/1", "/2/7/1/2"}, tree);
  return tree;
}

template <class T>
T as(const std::vector<std::uint8_t>& bytes) {
  T value{};
  EXPECT_GE(bytes.size(), sizeof value);
  std::memcpy(&value, bytes.data(), std::min(bytes.size(), sizeof value));
  return value;
}

IpPrefix prefix(const char* text) { return *IpPrefix::parse(text); }

TEST(TrafficControl, RedirectsAsTcDoes) {
  EXPECT_EQ(tree_of(add_ingress(3).bytes()), tree_of(from_hex(recorded::kIngress)));
  EXPECT_EQ(tree_of(redirect_incoming(3, 4).bytes()), tree_of(from_hex(recorded::kRedirect)));
}

TEST(TrafficControl, PicksOutSubnetsAsTcDoes) {
  EXPECT_EQ(
      tree_of(classify(3, kHandle, prefix("10.1.3.4/23"), AddressSide::kSource, kHandle | 0x30).bytes()),
      tree_of(from_hex(recorded::kClassify4)));
  EXPECT_EQ(
      tree_of(classify(3, kHandle, prefix("fd00:1:2:3:8000::/65"), AddressSide::kDestination, kHandle | 1)
                  .bytes()),
      tree_of(from_hex(recorded::kClassify6)));
}

TEST(TrafficControl, LimitsARateAsTcDoes) {
  Tree ours = tree_of(add_token_bucket(3, kHandle, {1'000'000, 10'000}, 35'000).bytes());
  Tree theirs = tree_of(from_hex(recorded::kTokenBucket));
  const auto mine = as<tc_tbf_qopt>(ours["/2/1"]);
  auto recorded = as<tc_tbf_qopt>(theirs["/2/1"]);
  EXPECT_EQ(mine.rate.rate, recorded.rate.rate);
  EXPECT_EQ(mine.limit, recorded.limit);
  EXPECT_EQ(mine.rate.linklayer, recorded.rate.linklayer);
  // tc gives the burst in ticks as well, and the size of a cell of its table; the kernel takes the bytes.
  ours.erase("/2/1");
  theirs.erase("/2/1");
  EXPECT_EQ(ours, theirs);
}

TEST(TrafficControl, HasASixtyFourBitRateOnlyWhereItIsNeeded) {
  EXPECT_FALSE(tree_of(add_token_bucket(3, kHandle, {4'294'967'295, 10'000}, 1).bytes()).contains("/2/4"));
  const Tree fast = tree_of(add_token_bucket(3, kHandle, {10'000'000'000, 10'000}, 1).bytes());
  EXPECT_EQ(as<std::uint64_t>(fast.at("/2/4")), 10'000'000'000U);
  EXPECT_EQ(as<tc_tbf_qopt>(fast.at("/2/1")).rate.rate, 4'294'967'295U);
}

TEST(TrafficControl, MakesClassesAsTcDoes) {
  Tree tree = tree_of(add_class_tree(3, kHandle, 0x30).bytes());
  Tree recorded_tree = tree_of(from_hex(recorded::kClassTree));
  EXPECT_EQ(tree["header"], recorded_tree["header"]);
  EXPECT_EQ(as<tc_htb_glob>(tree["/2/2"]).defcls, as<tc_htb_glob>(recorded_tree["/2/2"]).defcls);
  EXPECT_EQ(as<tc_htb_glob>(tree["/2/2"]).version, as<tc_htb_glob>(recorded_tree["/2/2"]).version);
  Tree ours = tree_of(add_class(3, kHandle | 0x30, {1'000'000, 10'000}).bytes());
  Tree theirs = tree_of(from_hex(recorded::kClass));
  const auto mine = as<tc_htb_opt>(ours["/2/1"]);
  const auto recorded = as<tc_htb_opt>(theirs["/2/1"]);
  EXPECT_EQ(mine.rate.rate, recorded.rate.rate);
  EXPECT_EQ(mine.ceil.rate, recorded.ceil.rate);
  EXPECT_EQ(mine.quantum, recorded.quantum);
  EXPECT_NEAR(mine.buffer, recorded.buffer, 100) << "ticks; tc rounds to microseconds first";
  EXPECT_EQ(ours["header"], theirs["header"]);
  EXPECT_EQ(ours["/1"], theirs["/1"]);
}

TEST(TrafficControl, DeletesAsTcDoes) {
  // tc names no handle.
  EXPECT_EQ(tree_of(delete_qdisc(3, kRootParent, 0).bytes()), tree_of(from_hex(recorded::kDeleteRoot)));
  EXPECT_TRUE(delete_qdisc(3, kRootParent, 0).tolerates(ENOENT));
}

TEST(TrafficControl, MatchesEveryAddressWithOneKey) {
  EXPECT_EQ(expected_filter(prefix("0.0.0.0/0"), AddressSide::kSource, 1).keys,
            std::vector<std::uint8_t>(16, 0));
  EXPECT_EQ(expected_filter(prefix("::/0"), AddressSide::kSource, 1).keys.size(), 16U);
  EXPECT_EQ(expected_filter(prefix("::1/128"), AddressSide::kSource, 1).keys.size(), 64U);
}

}  // namespace
}  // namespace netctl::netlink
