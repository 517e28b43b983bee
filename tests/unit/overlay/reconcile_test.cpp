#include "plugins/overlay/control/reconcile.hpp"

#include <algorithm>

#include <gmock/gmock.h>

#include "base/error.hpp"

namespace netctl::overlay {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr std::uint32_t kVni = 42;
constexpr std::uint32_t kVtep = 9;

IpAddress ip(const std::string& text) { return *IpAddress::parse(text); }
IpPrefix prefix(const std::string& text) { return *IpPrefix::parse(text); }

/// Node number n of the network: VTEP 192.0.2.n, one block a family.
Node node(unsigned number) {
  const std::string text = std::to_string(number);
  Node made;
  made.name = "node-" + text;
  made.vtep = ip("192.0.2." + text);
  made.blocks = {prefix("10.244." + text + ".0/24"), prefix("fd00:44:0:" + text + "::/64")};
  return made;
}

Desired desired(const std::vector<Node>& nodes, Mode mode = Mode::kRouted) {
  return desired_entries(nodes, "", kVni, mode);
}

/// What a kernel that takes every change holds afterwards.
void apply(const Changes& changes, Observed& kernel) {
  for (const auto& it : changes.put_neighbours) {
    std::erase_if(kernel.neighbours, [&it](const auto& old) { return old.address == it.address; });
    kernel.neighbours.insert(it);
  }
  for (const auto& it : changes.put_vteps) {
    std::erase_if(kernel.vteps, [&it](const auto& old) { return old.mac == it.mac; });
    kernel.vteps.insert(it);
  }
  for (const auto& it : changes.put_nexthops) kernel.nexthops.push_back(it);
  for (const auto& it : changes.put_routes) {
    std::erase_if(kernel.routes, [&it](const auto& old) { return old.destination == it.destination; });
    kernel.routes.push_back(it);
  }
  for (const auto& it : changes.delete_routes) std::erase(kernel.routes, it);
  for (const auto id : changes.delete_nexthops) {
    std::erase_if(kernel.nexthops, [id](const auto& old) { return old.id == id; });
    std::erase_if(kernel.routes, [id](const auto& old) { return old.nexthop_id == id; });
  }
  for (const auto& it : changes.delete_vteps) kernel.vteps.erase(it);
  for (const auto& it : changes.delete_neighbours) {
    std::erase_if(kernel.neighbours, [&it](const auto& old) { return old.address == it; });
  }
}

Observed kernel_with(const Desired& wanted) {
  Observed kernel;
  apply(reconcile(wanted, kernel, kVtep), kernel);
  return kernel;
}

TEST(DesiredEntries, ReachABlockOfEachFamilyThroughOneVtep) {
  const Desired wanted = desired({node(2)});
  const MacAddress mac = vtep_mac("node-2", kVni);
  EXPECT_EQ(wanted.vteps, (std::map<MacAddress, IpAddress>{{mac, ip("192.0.2.2")}}));
  EXPECT_EQ(wanted.neighbours,
            (std::map<IpAddress, MacAddress>{{ip("10.244.2.0"), mac},
                                             {gateway_to(prefix("fd00:44:0:2::/64"), mac), mac}}));
  EXPECT_THAT(wanted.routes, SizeIs(2));
  EXPECT_EQ(wanted.routes.at(prefix("10.244.2.0/24")).gateway, ip("10.244.2.0"));
}

TEST(DesiredEntries, LeaveTheOwnNodeOut) {
  EXPECT_EQ(desired_entries({node(1), node(2)}, "node-1", kVni, Mode::kRouted), desired({node(2)}));
}

TEST(DesiredEntries, CoverEveryAddressOfABlockInL2) {
  Node small = node(2);
  small.blocks = {prefix("10.244.0.16/28")};
  const Desired wanted = desired({small}, Mode::kL2);
  EXPECT_THAT(wanted.vteps, SizeIs(16));
  EXPECT_EQ(wanted.neighbours.at(ip("10.244.0.31")), container_mac(ip("10.244.0.31")));
  EXPECT_EQ(wanted.vteps.at(container_mac(ip("10.244.0.16"))), ip("192.0.2.2"));
  EXPECT_THAT(wanted.routes, IsEmpty());
}

TEST(DesiredEntries, OfBothIpVersionsShareAHardwareAddressInL2) {
  Node small = node(2);
  small.blocks = {prefix("fd00:44::10/124"), prefix("10.244.0.16/28")};
  const Desired wanted = desired({small}, Mode::kL2);
  EXPECT_THAT(wanted.vteps, SizeIs(16));
  EXPECT_THAT(wanted.neighbours, SizeIs(32));
  EXPECT_EQ(wanted.neighbours.at(ip("fd00:44::12")), container_mac(ip("10.244.0.18")));
  EXPECT_EQ(wanted.neighbours.at(ip("10.244.0.17")), gateway_mac("node-2", kVni));
  EXPECT_EQ(wanted.neighbours.at(ip("fd00:44::11")), gateway_mac("node-2", kVni));
}

TEST(Reconcile, FindsNothingToDoWhereAllIsThere) {
  const Desired wanted = desired({node(1), node(2), node(3)});
  EXPECT_TRUE(reconcile(wanted, kernel_with(wanted), kVtep).empty());
}

TEST(Reconcile, MakesEverythingForAnEmptyKernel) {
  const Changes changes = reconcile(desired({node(2)}), {}, kVtep);
  EXPECT_THAT(changes.put_neighbours, SizeIs(2));
  EXPECT_THAT(changes.put_vteps, SizeIs(1));
  EXPECT_THAT(changes.put_nexthops, SizeIs(2));
  EXPECT_THAT(changes.put_routes, SizeIs(2));
  EXPECT_EQ(changes.size(), 7U);
}

TEST(Reconcile, ChangesOneOfManyNodesAlone) {
  std::vector<Node> nodes;
  for (unsigned number = 1; number <= 200; ++number) nodes.push_back(node(number));
  const Observed kernel = kernel_with(desired(nodes));
  nodes[99].vtep = ip("192.0.2.250");
  const Changes changes = reconcile(desired(nodes), kernel, kVtep);
  EXPECT_EQ(changes.size(), 1U);
  EXPECT_THAT(changes.put_vteps,
              ElementsAre(netlink::VtepEntry{vtep_mac("node-100", kVni), ip("192.0.2.250")}));
}

TEST(Reconcile, TakesAwayWhatBelongsToNobody) {
  const Observed kernel = kernel_with(desired({node(2), node(3)}));
  const Changes changes = reconcile(desired({node(2)}), kernel, kVtep);
  EXPECT_THAT(changes.delete_routes, SizeIs(2));
  EXPECT_THAT(changes.delete_nexthops, SizeIs(2));
  EXPECT_THAT(changes.delete_vteps, SizeIs(1));
  EXPECT_THAT(changes.delete_neighbours, SizeIs(2));
  EXPECT_EQ(changes.size(), 7U);
}

TEST(Reconcile, PutsWhatWasFalsifiedBack) {
  const Desired wanted = desired({node(2)});
  Observed kernel = kernel_with(wanted);
  const MacAddress mac = vtep_mac("node-2", kVni);
  kernel.vteps = {{mac, ip("203.0.113.9")}};
  kernel.routes[0].mtu_bytes = 600;
  std::erase_if(kernel.neighbours, [](const auto& it) { return it.address == ip("10.244.2.0"); });
  kernel.neighbours.insert({ip("10.244.2.0"), *MacAddress::parse("02:00:00:00:00:99")});
  EXPECT_EQ(reconcile(wanted, kernel, kVtep).size(), 3U);
  apply(reconcile(wanted, kernel, kVtep), kernel);
  EXPECT_TRUE(reconcile(wanted, kernel, kVtep).empty());
}

TEST(Reconcile, LeavesOtherLinksAloneButNotTheirIds) {
  const Desired wanted = desired({node(2)});
  const Changes first = reconcile(wanted, {}, kVtep);
  Observed kernel;
  kernel.nexthops = {{first.put_nexthops[0].id, ip("10.9.0.0"), kVtep + 1}};
  kernel.routes = {{prefix("10.9.0.0/24"), first.put_nexthops[0].id, std::nullopt}};
  const Changes changes = reconcile(wanted, kernel, kVtep);
  EXPECT_THAT(changes.delete_routes, IsEmpty());
  EXPECT_THAT(changes.delete_nexthops, IsEmpty());
  for (const auto& nexthop : changes.put_nexthops) EXPECT_NE(nexthop.id, kernel.nexthops[0].id);
}

TEST(Reconcile, KeepsOneNexthopOfTwoToTheSameGateway) {
  const Desired wanted = desired({node(2)});
  Observed kernel = kernel_with(wanted);
  kernel.nexthops.push_back({netlink::kLastNexthopId, kernel.nexthops[0].gateway, kVtep});
  const Changes changes = reconcile(wanted, kernel, kVtep);
  EXPECT_THAT(changes.delete_nexthops, ElementsAre(netlink::kLastNexthopId));
  EXPECT_EQ(changes.size(), 1U);
}

TEST(Requests, AreAsManyAsChangesAndCompleteAWayBeforeItsRoute) {
  const Changes changes = reconcile(desired({node(2)}), {}, kVtep);
  const std::vector<netlink::Request> sent = requests(changes, kVtep);
  EXPECT_EQ(sent.size(), changes.size());
  EXPECT_THAT(sent.front().doing(), ::testing::StartsWith("put neighbour"));
  EXPECT_THAT(sent.back().doing(), ::testing::StartsWith("put the route"));
  EXPECT_THAT(describe(changes), SizeIs(changes.size()));
}

}  // namespace
}  // namespace netctl::overlay
