// The reconciler against the real kernel: whatever was there, and whatever is changed in whatever order, the kernel's
// entries end up as the list of nodes says.

#include <random>

#include <gmock/gmock.h>

#include "netlink/link.hpp"
#include "netlink/vxlan.hpp"
#include "plugins/overlay/control/reconcile.hpp"
#include "tests/support/netns_test.hpp"

namespace netctl::overlay {
namespace {

constexpr std::uint32_t kVni = 42;

class ReconcilerTest : public testing::NetnsTest {
 protected:
  void SetUp() override {
    NetnsTest::SetUp();
    if (HasFatalFailure()) return;
    testing::output_of(
        {"ip", "link", "set", "lo", "up"});  // without any address the kernel knows no gateway to be one
    testing::output_of({"ip", "link", "add", "u0", "up", "type", "veth", "peer", "name", "u1"});
    testing::output_of({"ip", "link", "set", "u1", "up"});
    make_vtep();
  }

  void make_vtep() {
    netlink::VxlanSpec spec;
    spec.name = "vx0";
    spec.mac = vtep_mac("self", kVni);
    spec.vni = kVni;
    spec.local = *IpAddress::parse("192.0.2.1");
    spec.underlay_index = netlink::find_link(route(), "u0")->index;
    route().transact(netlink::create_vxlan(spec));
    index_ = netlink::find_vxlan(route(), "vx0")->link.index;
    route().transact(netlink::set_up(index_));
  }

  static Node node(unsigned number) {
    Node made;
    made.name = "node-" + std::to_string(number);
    made.vtep = IpAddress::from_number(Family::kIpv4, 0xc6120000U + number);  // 198.18.0.0/15
    made.blocks = {{IpAddress::from_number(Family::kIpv4, 0x0a000000U + number * 256), 24}};
    return made;
  }

  std::size_t synchronise(const std::vector<Node>& nodes) {
    return overlay::synchronise(route(), desired_entries(nodes, "self", kVni, Mode::kRouted), index_);
  }

  std::uint32_t index_ = 0;
};

TEST_F(ReconcilerTest, DoesNothingTheSecondTime) {
  std::vector<Node> nodes;
  for (unsigned number = 0; number < 1000; ++number) nodes.push_back(node(number));
  EXPECT_EQ(synchronise(nodes), 4U * nodes.size());
  EXPECT_EQ(synchronise(nodes), 0U);
  nodes[500].vtep = *IpAddress::parse("203.0.113.1");
  EXPECT_EQ(synchronise(nodes), 1U) << "one node that moved is one message";
  EXPECT_EQ(synchronise({}), 4U * nodes.size());
  EXPECT_EQ(testing::ip_json({"route", "show", "proto", "110"}).size(), 0U);
  EXPECT_EQ(testing::ip_json({"nexthop", "show"}).size(), 0U);
}

TEST_F(ReconcilerTest, FollowsAListThatKeepsChanging) {
  std::mt19937 random(4711);
  std::map<unsigned, Node> model;
  for (int round = 0; round < 40; ++round) {
    for (int step = 0; step < 25; ++step) {
      const auto number = static_cast<unsigned>(random() % 120);
      switch (random() % 3) {
        case 0:
          model[number] = node(number);
          break;
        case 1:
          model.erase(number);
          break;
        default:  // moves to another host, and its block to another node
          if (model.contains(number)) {
            model[number].vtep =
                IpAddress::from_number(Family::kIpv4, 0xcb007100U + static_cast<unsigned>(random() % 200));
            model[number].mtu_bytes = 1300 + static_cast<unsigned>(random() % 100);
          }
      }
    }
    std::vector<Node> nodes;
    for (const auto& [number, each] : model) nodes.push_back(each);
    synchronise(nodes);
    const Desired wanted = desired_entries(nodes, "self", kVni, Mode::kRouted);
    ASSERT_THAT(describe(reconcile(wanted, observe(route(), index_), index_)), ::testing::IsEmpty())
        << "after round " << round;
    ASSERT_EQ(testing::ip_json({"route", "show", "proto", "110"}).size(), nodes.size());
  }
}

TEST_F(ReconcilerTest, MendsWhatWasDamagedByHand) {
  const std::vector<Node> nodes{node(1), node(2)};
  synchronise(nodes);
  testing::output_of({"ip", "route", "del", "10.0.1.0/24"});
  testing::output_of({"ip", "neigh", "replace", "10.0.2.0", "lladdr", "02:00:00:00:00:99", "dev", "vx0",
                      "nud", "permanent"});
  testing::output_of(
      {"bridge", "fdb", "add", "02:00:00:00:00:98", "dev", "vx0", "dst", "203.0.113.7", "self", "permanent"});
  EXPECT_EQ(synchronise(nodes), 3U);
  EXPECT_EQ(synchronise(nodes), 0U);
}

TEST_F(ReconcilerTest, FillsADeviceThatWasDeletedAndMadeAgain) {
  const std::vector<Node> nodes{node(1), node(2)};
  synchronise(nodes);
  testing::output_of({"ip", "link", "del", "vx0"});
  make_vtep();
  EXPECT_EQ(synchronise(nodes), 8U);
  EXPECT_EQ(synchronise(nodes), 0U);
}

TEST_F(ReconcilerTest, LeavesRoutesOfOthersAlone) {
  testing::output_of({"ip", "route", "add", "10.200.0.0/16", "dev", "vx0"});
  testing::output_of({"ip", "nexthop", "add", "id", "7", "via", "10.9.0.1", "dev", "vx0", "onlink"});
  testing::output_of({"ip", "route", "add", "10.9.0.0/24", "nhid", "7"});
  synchronise({node(1)});
  synchronise({});
  EXPECT_EQ(testing::ip_json({"route", "show"}).size(), 2U);
}

}  // namespace
}  // namespace netctl::overlay
