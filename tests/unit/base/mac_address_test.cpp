#include "base/mac_address.hpp"

#include <gmock/gmock.h>

namespace netctl {
namespace {

TEST(MacAddress, ReadsBothSeparatorsAndWritesOne) {
  EXPECT_EQ(MacAddress::parse("02:AB:cd:00:01:ff")->to_string(), "02:ab:cd:00:01:ff");
  EXPECT_EQ(MacAddress::parse("02-ab-cd-00-01-ff")->to_string(), "02:ab:cd:00:01:ff");
}

TEST(MacAddress, RefusesEverythingElse) {
  for (const char* text :
       {"", "02:ab:cd:00:01", "02:ab:cd:00:01:ff:00", "02:ab:cd:00:01:fg", "2:ab:cd:00:01:ff0",
        "02.ab.cd.00.01.ff", "02:ab:cd:00:01:f ", "+2:ab:cd:00:01:ff", "-2:ab:cd:00:01:ff"}) {
    EXPECT_FALSE(MacAddress::parse(text)) << text;
  }
}

TEST(MacAddress, OfAHashIsLocalAndUnicastAndStable) {
  for (const std::uint64_t hash : {0ULL, 1ULL, 0xffffffffffffffffULL, 0x123456789abcdef0ULL}) {
    const MacAddress mac = MacAddress::from_hash(hash);
    EXPECT_EQ(mac.bytes[0] & 2, 2) << "not locally administered";
    EXPECT_FALSE(mac.is_multicast());
    EXPECT_EQ(mac, MacAddress::from_hash(hash));
  }
  EXPECT_EQ(MacAddress::from_hash(0x0504030201).to_string(), "02:01:02:03:04:05");
  EXPECT_NE(MacAddress::from_hash(1), MacAddress::from_hash(2));
}

TEST(MacAddress, KnowsMulticast) {
  EXPECT_TRUE(MacAddress::parse("01:00:5e:00:00:01")->is_multicast());
  EXPECT_TRUE(MacAddress::parse("ff:ff:ff:ff:ff:ff")->is_multicast());
}

}  // namespace
}  // namespace netctl
