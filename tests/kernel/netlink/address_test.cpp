#include "netlink/address.hpp"

#include <gmock/gmock.h>

#include "tests/kernel/netlink/bridge_test.hpp"

namespace netctl::netlink {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using testing::ip_json;
using ::testing::IsEmpty;

class AddressTest : public BridgeTest {
 protected:
  /// What iproute2 says of `address` on br0.
  static nlohmann::json shown(const std::string& address) {
    const auto links = ip_json({"addr", "show", "dev", "br0"});
    for (const auto& entry : links.at(0).at("addr_info")) {
      if (entry.at("local") == address) return entry;
    }
    return {};
  }
};

TEST_F(AddressTest, IsAddedWithItsBroadcast) {
  add("10.1.0.2/16");
  EXPECT_EQ(shown("10.1.0.2").at("prefixlen"), 16);
  EXPECT_EQ(shown("10.1.0.2").at("broadcast"), "10.1.255.255");
  EXPECT_EQ(shown("10.1.0.2").at("scope"), "global");
}

TEST_F(AddressTest, HasNoBroadcastOnAPointToPointPrefix) {
  add("10.1.0.2/31");
  EXPECT_FALSE(shown("10.1.0.2").contains("broadcast"));
  add("10.2.0.2/32");
  EXPECT_FALSE(shown("10.2.0.2").contains("broadcast"));
}

TEST_F(AddressTest, IsUsableAtOnceWithoutDuplicateDetection) {
  add("fd00::2/64");
  EXPECT_EQ(shown("fd00::2").value("nodad", false), true);
  EXPECT_FALSE(shown("fd00::2").contains("tentative"));
  add("fd00::3/64", DuplicateDetection::kOn);
  EXPECT_FALSE(shown("fd00::3").contains("nodad"));
}

TEST_F(AddressTest, OfLoopbackHasTheScopeOfTheHost) {
  route().transact(add_address(1, *IpPrefix::parse("127.0.0.1/8"), DuplicateDetection::kOff));
  const auto info = ip_json({"addr", "show", "dev", "lo"}).at(0).at("addr_info");
  ASSERT_EQ(info.size(), 1U);
  EXPECT_EQ(info.at(0).at("scope"), "host");
}

TEST_F(AddressTest, IsListedForItsLinkOnly) {
  add("10.1.0.2/16");
  add("fd00::2/64");
  route().transact(add_address(1, *IpPrefix::parse("10.9.0.1/32"), DuplicateDetection::kOff));
  const auto addresses = list_addresses(route(), index_);
  EXPECT_THAT(addresses, Contains(*IpPrefix::parse("10.1.0.2/16")));
  EXPECT_THAT(addresses, Contains(*IpPrefix::parse("fd00::2/64")));
  EXPECT_EQ(addresses.size(), ip_json({"addr", "show", "dev", "br0"}).at(0).at("addr_info").size());
  EXPECT_THAT(list_addresses(route(), 1), ElementsAre(*IpPrefix::parse("10.9.0.1/32")));
}

TEST_F(AddressTest, OfAPeerIsTheLocalOne) {
  testing::output_of({"ip", "addr", "add", "10.1.0.2", "peer", "10.1.0.3/32", "dev", "br0"});
  EXPECT_THAT(list_addresses(route(), index_), Contains(*IpPrefix::parse("10.1.0.2/32")));
}

TEST_F(AddressTest, IsDeleted) {
  add("10.1.0.2/16");
  add("fd00::2/64");
  EXPECT_EQ(route().transact(delete_address(index_, *IpPrefix::parse("10.1.0.2/16"))), 0);
  EXPECT_EQ(route().transact(delete_address(index_, *IpPrefix::parse("fd00::2/64"))), 0);
  EXPECT_EQ(shown("10.1.0.2"), nlohmann::json());
  EXPECT_EQ(shown("fd00::2"), nlohmann::json());
  EXPECT_EQ(route().transact(delete_address(index_, *IpPrefix::parse("fd00::2/64"))), EADDRNOTAVAIL);
}

TEST_F(AddressTest, IsNotListedForALinkThatIsGone) {
  EXPECT_THROW((void)list_addresses(route(), 4711), Error);
  EXPECT_THAT(list_addresses(route(), 1), IsEmpty());
}

}  // namespace
}  // namespace netctl::netlink
