#include "plugins/overlay/control/peers.hpp"

#include <gmock/gmock.h>

#include "base/error.hpp"

namespace netctl::overlay {
namespace {

using ::testing::HasSubstr;

IpAddress ip(const char* text) { return *IpAddress::parse(text); }
IpPrefix prefix(const char* text) { return *IpPrefix::parse(text); }

Node node(const char* name, const char* vtep, std::initializer_list<const char*> blocks) {
  Node made;
  made.name = name;
  made.vtep = ip(vtep);
  for (const char* block : blocks) made.blocks.push_back(prefix(block));
  return made;
}

std::string complaint(const std::vector<Node>& nodes, Mode mode = Mode::kRouted) {
  try {
    validate_nodes(nodes, {prefix("10.244.0.0/16"), prefix("fd00:44::/48")}, mode);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidConfig);
    return error.message();
  }
  return "";
}

TEST(Nodes, WithBlocksOfTheirOwnAreFine) {
  EXPECT_EQ(
      complaint({node("a", "192.0.2.1", {"10.244.1.0/24", "fd00:44:0:1::/64"}),
                 node("b", "192.0.2.2", {"10.244.2.0/24", "fd00:44:0:2::/64"}), node("c", "192.0.2.3", {})}),
      "");
}

TEST(Nodes, NeedNamesOfTheirOwn) {
  EXPECT_THAT(complaint({node("a", "192.0.2.1", {}), node("a", "192.0.2.2", {})}), HasSubstr("called a"));
}

TEST(Nodes, NeedVtepsOfTheirOwn) {
  EXPECT_THAT(complaint({node("a", "192.0.2.1", {}), node("b", "192.0.2.1", {})}),
              ::testing::AllOf(HasSubstr("a and b"), HasSubstr("192.0.2.1")));
}

TEST(Nodes, HaveVtepsOfOneIpVersion) {
  EXPECT_THAT(complaint({node("a", "192.0.2.1", {}), node("b", "fd00::2", {})}),
              HasSubstr("different IP versions"));
}

TEST(Nodes, MustNotShareAddresses) {
  EXPECT_THAT(
      complaint({node("a", "192.0.2.1", {"10.244.0.0/20"}), node("b", "192.0.2.2", {"10.244.3.0/24"})}),
      ::testing::AllOf(HasSubstr("10.244.0.0/20 of node a"), HasSubstr("10.244.3.0/24 of node b")));
  EXPECT_THAT(complaint({node("a", "192.0.2.1", {"10.244.1.0/24", "10.244.1.128/25"})}),
              HasSubstr("overlap"));
}

TEST(Nodes, StayInsideTheOverlay) {
  EXPECT_THAT(complaint({node("a", "192.0.2.1", {"10.245.1.0/24"})}), HasSubstr("not inside"));
  EXPECT_THAT(complaint({node("a", "192.0.2.1", {"10.0.0.0/8"})}), HasSubstr("not inside"));
  EXPECT_THAT(complaint({node("a", "192.0.2.1", {"10.244.1.1/24"})}), HasSubstr("write 10.244.1.0/24"));
}

TEST(Nodes, HaveSmallBlocksInL2) {
  EXPECT_EQ(complaint({node("a", "192.0.2.1", {"10.244.4.0/22"})}, Mode::kL2), "");
  EXPECT_THAT(complaint({node("a", "192.0.2.1", {"10.244.0.0/21"})}, Mode::kL2), HasSubstr("1024"));
  EXPECT_THAT(complaint({node("a", "192.0.2.1", {"fd00:44:0:1::/64"})}, Mode::kL2), HasSubstr("1024"));
}

TEST(Nodes, HaveRoomForAContainer) {
  EXPECT_EQ(complaint({node("a", "192.0.2.1", {"10.244.0.4/30", "fd00:44:0:1::4/126"})}), "");
  EXPECT_THAT(complaint({node("a", "192.0.2.1", {"10.244.0.4/31"})}),
              HasSubstr("no address for a container"));
}

TEST(Nodes, HaveVtepsOutsideOfTheOverlay) {
  EXPECT_THAT(complaint({node("a", "10.244.9.9", {"10.244.1.0/24"})}),
              HasSubstr("inside the overlay's subnet"));
}

TEST(Nodes, HavePairsOfBlocksInL2) {
  EXPECT_EQ(complaint({node("a", "192.0.2.1", {"fd00:44::10/124", "10.244.0.16/28"})}, Mode::kL2), "");
  EXPECT_THAT(complaint({node("a", "192.0.2.1", {"10.244.0.16/28", "fd00:44::20/123"})}, Mode::kL2),
              HasSubstr("of the same size"));
  EXPECT_THAT(
      complaint({node("a", "192.0.2.1", {"10.244.0.16/28", "10.244.0.32/28", "fd00:44::10/124"})}, Mode::kL2),
      HasSubstr("of the same size"));
}

TEST(PairedAddress, IsAtTheSamePlaceOfTheBlockThatBelongsToIt) {
  const std::vector<IpPrefix> blocks{prefix("10.244.0.16/28"), prefix("fd00:44::50/124"),
                                     prefix("10.244.0.32/28"), prefix("fd00:44::70/124")};
  EXPECT_EQ(paired_address(blocks, ip("10.244.0.18"))->address, ip("fd00:44::52"));
  EXPECT_EQ(paired_address(blocks, ip("10.244.0.18"))->gateway, ip("fd00:44::51"));
  EXPECT_EQ(paired_address(blocks, ip("10.244.0.47"))->address, ip("fd00:44::7f"));
  EXPECT_FALSE(paired_address(blocks, ip("10.244.0.48")));
  EXPECT_FALSE(paired_address(blocks, ip("fd00:44::52")));
  EXPECT_FALSE(paired_address({prefix("10.244.0.16/28")}, ip("10.244.0.18")));
}

TEST(HardwareAddress, OfAVtepFollowsFromNodeAndVni) {
  EXPECT_EQ(vtep_mac("a", 42), vtep_mac("a", 42));
  EXPECT_NE(vtep_mac("a", 42), vtep_mac("b", 42));
  EXPECT_NE(vtep_mac("a", 42), vtep_mac("a", 43));
  EXPECT_FALSE(vtep_mac("a", 42).is_multicast());
}

TEST(HardwareAddress, OfAContainerFollowsFromItsAddress) {
  EXPECT_EQ(container_mac(ip("10.244.1.7")).to_string(), "02:42:0a:f4:01:07");
  EXPECT_NE(container_mac(ip("fd00:44::1:7")), container_mac(ip("fd00:44::1:8")));
  EXPECT_NE(container_mac(ip("fd00:44::1:7")), container_mac(ip("fd00:45::1:7")));
}

TEST(Gateway, IsTheFirstAddressOrTheVtepsLinkLocalOne) {
  const MacAddress mac = *MacAddress::parse("02:11:22:33:44:55");
  EXPECT_EQ(gateway_to(prefix("10.244.1.0/24"), mac), ip("10.244.1.0"));
  EXPECT_EQ(gateway_to(prefix("fd00:44:0:1::/64"), mac), ip("fe80::11:22ff:fe33:4455"));
}

}  // namespace
}  // namespace netctl::overlay
