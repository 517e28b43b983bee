// Requests for macvlans, moves and routed addresses against those that iproute2 6.1 sends for the same thing (recorded with
// strace on Linux 6.18): the same attributes with the same bytes. Their order does not matter to the kernel.

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include <gmock/gmock.h>

#include "netlink/address.hpp"
#include "netlink/link_move.hpp"
#include "netlink/macvlan.hpp"
#include "netlink/route.hpp"
#include "tests/unit/netlink/hex.hpp"
#include "tests/unit/netlink/message_tree.hpp"

namespace netctl::netlink {
namespace {

//     ip link add link up0 name eth0 netns box address 02:00:00:00:00:03 mtu 1400 type macvlan mode private bcqueuelen 50
constexpr std::string_view kMacvlanInNetns =
    "74000000100005062ca6066b00000000000000000000000000000000000000000800"
    "1c00040000000a0001000200000000030000080004007805000008000500030000000900030065746830000000002400"
    "12000b0001006d6163766c616e001400020008000700320000000800010001000000";
//     ip link add link up0 name mv0 type macvlan mode bridge
constexpr std::string_view kMacvlan =
    "4c000000100005062ca6066b0000000000000000000000000000000000000000080005000300000008000300"
    "6d7630001c0012000b0001006d6163766c616e000c0002000800010004000000";
//     ip link set dev up1 netns box name eth7
constexpr std::string_view kMove =
    "34000000100005002da6066b000000000000000002000000000000000000000008001c00040000000900030065746837"
    "00000000";
//     ip link set dev up0 name up9
constexpr std::string_view kRename =
    "28000000100005002da6066b00000000000000000300000000000000000000000800030075703900";
//     ip addr add 10.1.0.9/24 brd + dev mv0 noprefixroute
constexpr std::string_view kRoutedAddress =
    "38000000140005062da6066b000000000218000004000000080002000a01000908000800000200000800010"
    "00a010009080004000a0100ff";
//     ip route prepend 10.9.0.0/16 via 10.1.0.1 dev mv0 proto 110 src 10.1.0.9
constexpr std::string_view kRouteWithSource =
    "3c000000180005042da6066b0000000002100000fe6e000100000000080001000a090000080005000a0100010800"
    "07000a0100090800040004000000";

Tree link_tree(Bytes message) {
  return tree_of(message, sizeof(ifinfomsg), {{"/18", 0}, {"/18/2", 0}}, {"/3", "/18/1"});
}

TEST(MovedLinks, AreMadeAsMacvlansAsIprouteMakesThem) {
  MacvlanSpec spec;
  spec.name = "eth0";
  spec.mac = MacAddress::parse("02:00:00:00:00:03");
  spec.master_index = 3;
  spec.mode = MacvlanMode::kPrivate;
  spec.mtu_bytes = 1400;
  spec.broadcast_queue_length = 50;
  spec.netns_fd = 4;
  EXPECT_EQ(link_tree(create_macvlan(spec).bytes()), link_tree(from_hex(kMacvlanInNetns)));
  MacvlanSpec plain;
  plain.name = "mv0";
  plain.master_index = 3;
  EXPECT_EQ(link_tree(create_macvlan(plain).bytes()), link_tree(from_hex(kMacvlan)));
}

TEST(MovedLinks, KnowTheModesOfMacvlansByName) {
  for (const char* name : {"private", "vepa", "bridge", "passthru"}) {
    EXPECT_EQ(to_string(parse_macvlan_mode(name).value()), name);
  }
  EXPECT_FALSE(parse_macvlan_mode("Bridge"));
  EXPECT_FALSE(parse_macvlan_mode("source"));
  EXPECT_FALSE(parse_macvlan_mode(""));
}

TEST(MovedLinks, MoveAndChangeTheirNameAsIprouteDoesIt) {
  Tree moved = link_tree(from_hex(kMove));
  Tree renamed = link_tree(from_hex(kRename));
  moved["type"] =
      renamed["type"] = {RTM_SETLINK};  // iproute2 sends RTM_NEWLINK, the kernel treats them alike
  EXPECT_EQ(link_tree(move_link(2, 4, "eth7").bytes()), moved);
  EXPECT_EQ(link_tree(rename_link(3, "up9").bytes()), renamed);
}

TEST(MovedLinks, GetAddressesWithoutConnectedRouteAndRoutesWithASource) {
  const Request address =
      add_address(4, IpPrefix::parse("10.1.0.9/24").value(), DuplicateDetection::kOff, PrefixRoute::kOff);
  EXPECT_EQ(tree_of(address.bytes(), sizeof(ifaddrmsg), {}, {}),
            tree_of(from_hex(kRoutedAddress), sizeof(ifaddrmsg), {}, {}));
  Route route;
  route.destination = IpPrefix::parse("10.9.0.0/16").value();
  route.gateway = IpAddress::parse("10.1.0.1");
  route.preferred_source = IpAddress::parse("10.1.0.9");
  route.link_index = 4;
  EXPECT_EQ(tree_of(add_route(route).bytes(), sizeof(rtmsg), {}, {}),
            tree_of(from_hex(kRouteWithSource), sizeof(rtmsg), {}, {}));
}

}  // namespace
}  // namespace netctl::netlink
