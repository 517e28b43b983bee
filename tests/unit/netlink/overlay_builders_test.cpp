// The requests of overlays against those that iproute2 sends for the same thing.

#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>

#include <gmock/gmock.h>

#include "netlink/neighbour.hpp"
#include "netlink/nexthop.hpp"
#include "netlink/vxlan.hpp"
#include "tests/unit/netlink/hex.hpp"
#include "tests/unit/netlink/message_tree.hpp"
#include "tests/unit/netlink/recorded.hpp"

namespace netctl::netlink {
namespace {

Tree link_tree(Bytes message) {
  return tree_of(message, sizeof(ifinfomsg), {{"/18", 0}, {"/18/2", 0}}, {"/3", "/18/1"});
}
Tree neighbour_tree(Bytes message) { return tree_of(message, sizeof(ndmsg), {}, {}); }
Tree nexthop_tree(Bytes message) { return tree_of(message, sizeof(nhmsg), {}, {}); }
Tree route_tree(Bytes message) { return tree_of(message, sizeof(rtmsg), {{"/8", 0}}, {}); }

MacAddress mac(const char* text) { return *MacAddress::parse(text); }
IpAddress ip(const char* text) { return *IpAddress::parse(text); }

VxlanSpec spec(const char* name, const char* hardware, std::uint32_t vni, const char* local) {
  VxlanSpec made;
  made.name = name;
  made.mac = mac(hardware);
  made.vni = vni;
  made.port = 4789;
  made.local = ip(local);
  made.underlay_index = 3;
  return made;
}

TEST(OverlayBuilders, MakeAVtepAsIprouteDoesButDown) {
  VxlanSpec vtep = spec("vx0", "02:00:00:00:00:0a", 42, "192.0.2.1");
  vtep.mtu_bytes = 1450;
  Tree recorded = link_tree(from_hex(recorded::kVxlan));
  // ifi_flags and ifi_change: ours is set up when its guards stand.
  for (std::size_t i = 8; i < sizeof(ifinfomsg); ++i) recorded["header"][i] = 0;
  EXPECT_EQ(link_tree(create_vxlan(vtep).bytes()), recorded);
}

TEST(OverlayBuilders, MakeAVtepThatAnswersForItsNeighbours) {
  VxlanSpec vtep = spec("vx1", "02:00:00:00:00:0b", 43, "192.0.2.1");
  vtep.proxy = true;
  EXPECT_EQ(link_tree(create_vxlan(vtep).bytes()), link_tree(from_hex(recorded::kVxlanProxy)));
}

TEST(OverlayBuilders, MakeAVtepOnAnIpv6Underlay) {
  const VxlanSpec vtep = spec("vx6", "02:00:00:00:00:0c", 44, "fd00::1");
  EXPECT_EQ(link_tree(create_vxlan(vtep).bytes()), link_tree(from_hex(recorded::kVxlan6)));
}

TEST(OverlayBuilders, PutAndDeleteWhoIsBehindAVtep) {
  const VtepEntry entry{mac("02:00:00:00:00:0c"), ip("192.0.2.2")};
  EXPECT_EQ(neighbour_tree(put_vtep_entry(4, entry).bytes()), neighbour_tree(from_hex(recorded::kVtepEntry)));
  EXPECT_EQ(neighbour_tree(delete_vtep_entry(4, entry).bytes()),
            neighbour_tree(from_hex(recorded::kDeleteVtepEntry)));
}

TEST(OverlayBuilders, PutNeighboursOfBothFamilies) {
  EXPECT_EQ(neighbour_tree(put_neighbour(4, {ip("10.244.2.0"), mac("02:00:00:00:00:0c")}).bytes()),
            neighbour_tree(from_hex(recorded::kPutNeighbour4)));
  EXPECT_EQ(neighbour_tree(put_neighbour(4, {ip("fe80::2"), mac("02:00:00:00:00:0c")}).bytes()),
            neighbour_tree(from_hex(recorded::kPutNeighbour6)));
}

TEST(OverlayBuilders, PutAndDeleteNexthops) {
  constexpr std::uint32_t kId = 1660944386;
  EXPECT_EQ(nexthop_tree(put_nexthop({kId, ip("10.244.2.0"), 4}).bytes()),
            nexthop_tree(from_hex(recorded::kNexthop)));
  EXPECT_EQ(nexthop_tree(delete_nexthop(kId).bytes()), nexthop_tree(from_hex(recorded::kDeleteNexthop)));
}

TEST(OverlayBuilders, PutAndDeleteRoutesOverNexthops) {
  constexpr std::uint32_t kId = 1660944386;
  const NexthopRoute narrow{*IpPrefix::parse("10.244.9.0/24"), kId, 1400};
  EXPECT_EQ(route_tree(put_nexthop_route(narrow).bytes()), route_tree(from_hex(recorded::kNexthopRoute)));
  const NexthopRoute plain{*IpPrefix::parse("10.244.2.0/24"), kId, std::nullopt};
  EXPECT_EQ(route_tree(delete_nexthop_route(plain).bytes()),
            route_tree(from_hex(recorded::kDeleteNexthopRoute)));
}

}  // namespace
}  // namespace netctl::netlink
