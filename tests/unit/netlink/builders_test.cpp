// Our requests against those that iproute2 sends for the same thing: the same fields in the same places. Order, the NESTED
// bit and the terminator of a text do not matter to the kernel, and are not compared.

#include <sys/socket.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>

#include <cstring>
#include <map>
#include <set>

#include <gmock/gmock.h>

#include "netlink/address.hpp"
#include "netlink/link.hpp"
#include "netlink/neighbour.hpp"
#include "netlink/route.hpp"
#include "tests/unit/netlink/hex.hpp"
#include "tests/unit/netlink/message_tree.hpp"
#include "tests/unit/netlink/recorded.hpp"

namespace netctl::netlink {
namespace {

Tree link_tree(Bytes message) {
  const Nests nests{{"/18", 0}, {"/18/2", 0}, {"/18/2/1", sizeof(ifinfomsg)}, {"/18/5", 0}};
  const Texts texts{"/3", "/18/1", "/18/4", "/18/2/1/3"};
  return tree_of(message, sizeof(ifinfomsg), nests, texts);
}

Tree address_tree(Bytes message) { return tree_of(message, sizeof(ifaddrmsg), {}, {}); }
Tree route_tree(Bytes message) { return tree_of(message, sizeof(rtmsg), {{"/8", 0}}, {}); }
Tree neighbour_tree(Bytes message) { return tree_of(message, sizeof(ndmsg), {}, {}); }

MacAddress mac(const char* text) { return *MacAddress::parse(text); }

TEST(Builders, MakeABridgeAsIprouteDoes) {
  const Request ours = create_bridge({"br1", mac("02:00:00:00:00:0a"), 1400});
  EXPECT_EQ(link_tree(ours.bytes()), link_tree(from_hex(recorded::kBridge)));
}

TEST(Builders, MakeAVethPairAsIprouteDoes) {
  VethSpec spec;
  spec.host_name = "nc1";
  spec.host_mac = mac("02:00:00:00:00:01");
  spec.master_index = 2;
  spec.mtu_bytes = 1400;
  spec.container_name = "eth0";
  spec.container_mac = mac("02:00:00:00:00:02");
  spec.container_netns_fd = 4;
  EXPECT_EQ(link_tree(create_veth(spec).bytes()), link_tree(from_hex(recorded::kVeth)));
}

TEST(Builders, LeaveOutWhatAVethPairDoesNotNeed) {
  VethSpec spec;
  spec.host_name = "nc1";
  spec.container_name = "eth0";
  const Tree tree = link_tree(create_veth(spec).bytes());
  EXPECT_FALSE(tree.contains("/10")) << "no master was asked for";
  EXPECT_FALSE(tree.contains("/4")) << "no MTU was asked for";
  EXPECT_FALSE(tree.contains("/18/2/1/4")) << "no MTU was asked for";
}

TEST(Builders, SetPortFlagsAsIprouteDoes) {
  BridgePortSpec spec;
  spec.index = 4;
  spec.hairpin = spec.isolated = spec.locked = true;
  Tree expected = link_tree(from_hex(recorded::kPort));
  // iproute2 calls the link's kind "bridge_slave", which no kernel knows: a newer one would look for such a module.
  expected.erase("/18/1");
  expected["/18/4"] = {'b', 'r', 'i', 'd', 'g', 'e'};
  EXPECT_EQ(link_tree(set_bridge_port(spec).bytes()), expected);
}

TEST(Builders, ChangeLinksAsIprouteDoes) {
  const std::vector<std::pair<Request, std::string_view>> pairs{
      {set_alias(4, "netctl:1:net:key:10.1.0.2/16"), recorded::kAlias},
      {set_up(2), recorded::kUp},
      {set_promiscuous(2, true), recorded::kPromiscuous},
      {set_group(4, 77), recorded::kGroup},
  };
  for (const auto& [ours, theirs] : pairs) {
    Tree expected = link_tree(from_hex(theirs));
    expected["type"] = {RTM_SETLINK};  // iproute2 sends RTM_NEWLINK for both, the kernel treats them alike
    EXPECT_EQ(link_tree(ours.bytes()), expected) << ours.doing();
  }
}

TEST(Builders, DeleteLinksAsIprouteDoes) {
  EXPECT_EQ(link_tree(delete_link(4).bytes()), link_tree(from_hex(recorded::kDeleteLink)));
  EXPECT_EQ(link_tree(delete_group(77).bytes()), link_tree(from_hex(recorded::kDeleteGroup)));
}

TEST(Builders, NeverDeleteTheGroupOfAllLinks) { EXPECT_THROW((void)delete_group(0), Error); }

TEST(Builders, ClearTheFlagTheyTakeAway) {
  const Tree down = link_tree(set_down(2).bytes());
  EXPECT_EQ(down.at("header"), (std::vector<std::uint8_t>{0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0}));
}

TEST(Builders, AddAddressesAsIprouteDoes) {
  const auto v4 = add_address(3, *IpPrefix::parse("10.1.0.2/16"), DuplicateDetection::kOff);
  EXPECT_EQ(address_tree(v4.bytes()), address_tree(from_hex(recorded::kAddress4)));

  const auto v6 = add_address(3, *IpPrefix::parse("fd00::2/64"), DuplicateDetection::kOff);
  Tree expected = address_tree(from_hex(recorded::kAddress6));
  // iproute2 has the flag in the header, where only eight of them fit.
  expected.at("header")[2] = 0;
  expected["/" + std::to_string(IFA_FLAGS)] = {IFA_F_NODAD, 0, 0, 0};
  EXPECT_EQ(address_tree(v6.bytes()), expected);
}

TEST(Builders, GiveNoBroadcastToPrefixesWithoutOne) {
  for (const char* text : {"10.1.0.2/31", "10.1.0.2/32", "fd00::2/64"}) {
    const auto request = add_address(3, *IpPrefix::parse(text), DuplicateDetection::kOn);
    EXPECT_FALSE(address_tree(request.bytes()).contains("/4")) << text;
    EXPECT_FALSE(address_tree(request.bytes()).contains("/8")) << text;
  }
}

Route route_v4() {
  Route route;
  route.destination = *IpPrefix::parse("10.9.3.4/16");  // the builder clears the host bits
  route.gateway = IpAddress::parse("10.1.0.1");
  route.link_index = 3;
  route.priority = 5;
  route.on_link = true;
  return route;
}

TEST(Builders, AddRoutesAsIprouteDoes) {
  Route v4 = route_v4();
  v4.mtu_bytes = 1300;
  v4.advertised_mss_bytes = 1200;
  EXPECT_EQ(route_tree(add_route(v4).bytes()), route_tree(from_hex(recorded::kRoute4)));

  Route v6;
  v6.destination = *IpPrefix::parse("::/0");
  v6.gateway = IpAddress::parse("fd00::1");
  v6.link_index = 3;
  Tree expected = route_tree(from_hex(recorded::kRoute6));
  expected.erase("/1");  // iproute2 names ::/0, which says as much as saying nothing
  EXPECT_EQ(route_tree(add_route(v6).bytes()), expected);
}

TEST(Builders, DeleteRoutesAsIprouteDoes) {
  Tree expected = route_tree(from_hex(recorded::kDeleteRoute));
  expected.at("header")[7] =
      RTN_UNICAST;  // iproute2 would delete a blackhole of the same prefix just as well
  EXPECT_EQ(route_tree(delete_route(route_v4()).bytes()), expected);
}

TEST(Builders, NameATableBeyond255InItsAttribute) {
  Route route = route_v4();
  route.table = 100;
  EXPECT_EQ(route_tree(add_route(route).bytes()).at("header")[4], 100);
  EXPECT_FALSE(route_tree(add_route(route).bytes()).contains("/15"));
  route.table = 70000;
  EXPECT_EQ(route_tree(add_route(route).bytes()).at("header")[4], RT_TABLE_UNSPEC);
  EXPECT_EQ(route_tree(add_route(route).bytes()).at("/15"), (std::vector<std::uint8_t>{0x70, 0x11, 1, 0}));
}

TEST(Builders, AddBridgeEntriesAsIprouteDoes) {
  Tree expected = neighbour_tree(from_hex(recorded::kFdb));
  // iproute2 adds NUD_REACHABLE, which the bridge does not look at beside NUD_NOARP.
  expected.at("header")[8] = NUD_NOARP;
  EXPECT_EQ(neighbour_tree(add_bridge_fdb(4, mac("02:00:00:00:00:02")).bytes()), expected);
}

TEST(Builders, ForgetNeighboursAsIprouteDoes) {
  Tree expected = neighbour_tree(from_hex(recorded::kNeighbour));
  expected.at("header")[8] =
      0;  // iproute2 sends NUD_NOARP's neighbour NUD_PERMANENT, which a delete does not look at
  EXPECT_EQ(neighbour_tree(delete_neighbour(3, *IpAddress::parse("10.1.0.9")).bytes()), expected);
}

}  // namespace
}  // namespace netctl::netlink
