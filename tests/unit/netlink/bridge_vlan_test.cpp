// Requests about VLANs of bridge ports against those that iproute2 6.1 sends for the same thing (recorded with strace).

#include "netlink/bridge_vlan.hpp"

#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include <gmock/gmock.h>

#include "tests/unit/netlink/hex.hpp"
#include "tests/unit/netlink/message_tree.hpp"

namespace netctl::netlink {
namespace {

//     bridge vlan add dev up0 vid 100 pvid untagged      (up0: 3)
constexpr std::string_view kAccess =
    "2c0000001300050089a9066b000000000700000003000000000000000000000"
    "00c001a000800020006006400";
//     bridge vlan add dev up0 vid 20-31
constexpr std::string_view kRange =
    "340000001300050089a9066b0000000007000000030000000000000000000000"
    "14001a0008000200080014000800020010001f00";
//     bridge vlan del dev up0 vid 1
constexpr std::string_view kDelete =
    "2c0000001100050089a9066b0000000007000000030000000000000000000000"
    "0c001a000800020000000100";
//     ip link set dev up0 type bridge vlan_filtering 1
constexpr std::string_view kFilter =
    "3c0000001000050088a9066b0000000000000000030000000000000000000000"
    "1c0012000a0001006272696467650000"
    "0c0002000500070001000000";

/// Entries of one type come several times and in an order that counts: the whole nest is compared as bytes.
Tree vlan_tree(Bytes message) {
  Tree tree = tree_of(message, sizeof(ifinfomsg), {}, {});
  return tree;
}

Tree filter_tree(Bytes message) {
  return tree_of(message, sizeof(ifinfomsg), {{"/18", 0}, {"/18/2", 0}}, {"/18/1"});
}

TEST(BridgeVlan, SaysWhatIprouteSays) {
  EXPECT_EQ(vlan_tree(add_bridge_vlans(3, {{100, 100, true, true}}).bytes()), vlan_tree(from_hex(kAccess)));
  EXPECT_EQ(vlan_tree(add_bridge_vlans(3, {{20, 31, false, false}}).bytes()), vlan_tree(from_hex(kRange)));
  EXPECT_EQ(vlan_tree(delete_bridge_vlans(3, {{1, 1, false, false}}).bytes()), vlan_tree(from_hex(kDelete)));
  EXPECT_EQ(filter_tree(set_vlan_filtering(3).bytes()), filter_tree(from_hex(kFilter)));
}

TEST(BridgeVlan, PutsSeveralIntoOneMessage) {
  const Request request = add_bridge_vlans(3, {{7, 7, false, false}, {20, 31, false, false}});
  const auto spec =
      find_attribute(request.bytes().subspan(sizeof(nlmsghdr) + sizeof(ifinfomsg)), IFLA_AF_SPEC);
  ASSERT_TRUE(spec);
  EXPECT_EQ(parse_attributes(spec->payload).size(), 3U);
}

}  // namespace
}  // namespace netctl::netlink
