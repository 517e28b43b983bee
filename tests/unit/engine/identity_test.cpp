#include "plugins/engine/identity.hpp"

#include <set>

#include <gmock/gmock.h>

#include "iptables/policy.hpp"
#include "tests/unit/engine/sample.hpp"

namespace netctl::engine {
namespace {

using sample::key;
using sample::prefix;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::StartsWith;

TEST(Identity, GivesTheNamesThatEveryVersionGave) {
  EXPECT_EQ(host_ifname({"blue", "c1", "eth0"}), "nc21c911118ba16");
  EXPECT_EQ(host_mac({"blue", "c1", "eth0"}).to_string(), "02:f2:9e:3a:0e:3a");
  EXPECT_EQ(container_mac({"blue", "c1", "eth0"}, {}).to_string(), "02:d7:d2:d3:40:cf");
  EXPECT_EQ(container_mac({"blue", "c1", "eth0"}, {prefix("10.1.0.5/24")}).to_string(), "02:03:75:71:ff:e0");
  EXPECT_EQ(key_digest({"blue", "c1", "eth0"}), "482e8abde567c5cc");
}

TEST(Identity, NamesAHostEndThatFitsInAnInterfaceName) {
  for (const std::string& id : {std::string("c"), std::string(255, 'c')}) {
    EXPECT_THAT(host_ifname({"n", id, "eth0"}), MatchesRegex("nc[0-9a-f]{13}"));
  }
}

TEST(Identity, TellsAttachmentsApartByEachPartOfTheKey) {
  const std::vector<ipam::AttachmentKey> keys = {{"a", "b", "c"},   {"a", "b", "d"}, {"a", "c", "c"},
                                                 {"ab", "", "c"},   {"a", "bc", ""}, {"b", "b", "c"},
                                                 {"a", "b", "eth0"}};
  std::set<std::string> names, macs, digests;
  for (const ipam::AttachmentKey& one : keys) {
    names.insert(host_ifname(one));
    macs.insert(host_mac(one).to_string());
    macs.insert(container_mac(one, {}).to_string());
    digests.insert(key_digest(one));
  }
  EXPECT_EQ(names.size(), keys.size());
  EXPECT_EQ(macs.size(), 2 * keys.size());
  EXPECT_EQ(digests.size(), keys.size());
}

TEST(Identity, GivesAnAddressTheSameMacWhoeverHasIt) {
  const std::vector<IpPrefix> addresses = {prefix("10.1.0.5/24"), prefix("fd00::5/64")};
  EXPECT_EQ(container_mac({"blue", "c1", "eth0"}, addresses),
            container_mac({"blue", "c2", "eth1"}, addresses));
  EXPECT_EQ(container_mac({"blue", "c1", "eth0"}, addresses),
            container_mac({"blue", "c1", "eth0"}, {prefix("10.1.0.5/16")}));
  EXPECT_NE(container_mac({"blue", "c1", "eth0"}, addresses),
            container_mac({"red", "c1", "eth0"}, addresses));
  EXPECT_NE(container_mac({"blue", "c1", "eth0"}, addresses),
            container_mac({"blue", "c1", "eth0"}, {prefix("10.1.0.6/24")}));
}

TEST(Identity, MakesLocallyAdministeredUnicastMacs) {
  for (const MacAddress& mac : {host_mac(key()), container_mac(key(), {}), bridge_mac("br-blue")}) {
    EXPECT_FALSE(mac.is_multicast()) << mac.to_string();
    EXPECT_EQ(mac.bytes[0] & 2, 2) << mac.to_string();
  }
  EXPECT_EQ(bridge_mac("br-blue"), bridge_mac("br-blue"));
  EXPECT_NE(bridge_mac("br-blue"), bridge_mac("br-red"));
}

TEST(LinkAlias, NamesNetworkKeyAndAddresses) {
  EXPECT_EQ(link_alias(key(), {prefix("10.1.0.5/24"), prefix("fd00:1::5/64")}),
            "netctl:1:blue:" + key_digest(key()) + ":10.1.0.5,fd00:1::5");
  EXPECT_EQ(link_alias(key(), {}), "netctl:1:blue:" + key_digest(key()) + ":");
}

TEST(LinkAlias, FitsIntoTheKernelsLimitWhateverItIsMadeOf) {
  const IpPrefix long_address = prefix("fd00:1111:2222:3333:4444:5555:6666:7777/64");
  for (const std::size_t length : {1U, 15U, 100U, 214U, 215U, 230U, 255U, 1000U}) {
    const ipam::AttachmentKey long_key{std::string(length, 'n'), std::string(500, 'c'), "eth0"};
    for (const std::size_t count : {0U, 1U, 2U, 5U, 50U}) {
      const std::string alias = link_alias(long_key, std::vector<IpPrefix>(count, long_address));
      EXPECT_LE(alias.size(), 255U) << length << " bytes of name, " << count << " addresses";
      EXPECT_EQ(digest_in_alias(alias), key_digest(long_key)) << alias;
    }
    EXPECT_LE(bridge_alias(long_key.network).size(), 255U);
    EXPECT_THAT(bridge_alias(long_key.network), EndsWith("::"));
  }
}

TEST(LinkAlias, ShortensTheNetworkBeforeTheAddresses) {
  const ipam::AttachmentKey long_key{std::string(255, 'n'), "c1", "eth0"};
  const std::string alias = link_alias(long_key, {prefix("10.1.0.5/24"), prefix("fd00:1::5/64")});
  EXPECT_EQ(alias.size(), 255U);
  EXPECT_THAT(alias, EndsWith("n:" + key_digest(long_key) + ":10.1.0.5,fd00:1::5"));
}

TEST(LinkAlias, IsReadBackWithAnyAddresses) {
  for (const std::vector<IpPrefix>& addresses :
       {std::vector<IpPrefix>{}, std::vector{prefix("10.1.0.5/24")}, std::vector{prefix("fd00::5/64")},
        std::vector{prefix("::1/128"), prefix("10.1.0.5/24")},
        std::vector{prefix("fd00:1111:2222:3333:4444:5555:6666:7777/64")}}) {
    EXPECT_EQ(digest_in_alias(link_alias(key(), addresses)), key_digest(key()));
  }
}

TEST(LinkAlias, BelongsToNobodyWhenItIsAnothersOrABridges) {
  const std::string digest = key_digest(key());
  for (const std::string& alias :
       {std::string(), std::string("uplink"), std::string("netctl"), std::string("netctl:1:"),
        std::string("netctl:1:blue"), "netctl:2:blue:" + digest + ":", "netctl:1:blue:" + digest,
        "netctl:1:blue:" + digest + "0:", "netctl:1:blue:" + digest.substr(1) + ":",
        " " + link_alias(key(), {}), std::string("netctl:1:blue:fd00:1111:2222:3333:"), bridge_alias("blue"),
        bridge_alias(std::string(300, 'n'))}) {
    EXPECT_EQ(digest_in_alias(alias), "") << alias;
  }
}

TEST(BridgeAlias, NamesTheNetwork) { EXPECT_EQ(bridge_alias("blue"), "netctl:1:blue::"); }

TEST(OwnerComment, NamesTheOwnerWithinALimit) {
  EXPECT_EQ(owner_comment({"blue", "c1", "eth0"}), "blue/c1/eth0");
  constexpr std::size_t kCommentLimit = 120;  // of iptables/element.cpp, that would cut the interface off
  const std::string longest =
      owner_comment({std::string(255, 'n'), std::string(255, 'c'), "eth0123456789ab"});
  EXPECT_LE(longest.size(), kCommentLimit);
  EXPECT_THAT(longest, EndsWith("c/eth0123456789ab"));
}

TEST(Description, NamesTheContainerAsItsOwnerKnowsIt) {
  EXPECT_EQ(describe(key(), "web"), "container web (0123456789ab), interface eth0");
  EXPECT_EQ(describe(key()), "container 0123456789ab, interface eth0");
}

}  // namespace
}  // namespace netctl::engine
