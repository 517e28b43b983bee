#include "base/ip_address.hpp"

#include <sys/socket.h>

#include <gmock/gmock.h>

#include "base/error.hpp"

namespace netctl {
namespace {

using ::testing::ElementsAre;

IpAddress ip(const char* text) { return *IpAddress::parse(text); }
IpPrefix prefix(const char* text) { return *IpPrefix::parse(text); }

TEST(IpAddress, ReadsAndWritesTheUsualForm) {
  for (const char* text :
       {"0.0.0.0", "10.1.2.3", "255.255.255.255", "::", "::1", "fd00::1", "2001:db8::a:b"}) {
    const auto address = IpAddress::parse(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(address->to_string(), text);
  }
  EXPECT_EQ(ip("2001:0DB8:0:0:0:0:0:1").to_string(), "2001:db8::1");
}

TEST(IpAddress, RefusesEverythingElse) {
  for (const char* text : {"", "10.1.2", "10.1.2.256", "10.1.2.3 ", " 10.1.2.3", "010.1.2.3x", "10.1.2.3/8",
                           "fe80::1%eth0", "[::1]", "1::2::3", "12345::", "localhost"}) {
    EXPECT_FALSE(IpAddress::parse(text)) << text;
  }
  EXPECT_FALSE(IpAddress::parse(std::string_view("10.1.2.3\0.4", 11))) << "a NUL hides what follows it";
}

TEST(IpAddress, IsANumber) {
  EXPECT_TRUE(ip("10.0.0.1").number() == 0x0a000001);
  EXPECT_EQ(IpAddress::from_number(Family::kIpv4, 0x0a000001), ip("10.0.0.1"));
  EXPECT_EQ(IpAddress::from_number(Family::kIpv6, (uint128{0xfd00} << 112) | 0x1234), ip("fd00::1234"));
  EXPECT_EQ(IpAddress::from_number(Family::kIpv6, ip("2001:db8::5").number()), ip("2001:db8::5"));
}

TEST(IpAddress, HasItsBytesInNetworkOrder) {
  EXPECT_THAT(ip("10.1.2.3").bytes(), ElementsAre(10, 1, 2, 3));
  EXPECT_EQ(ip("fd00::1").bytes().size(), 16U);
  EXPECT_EQ(IpAddress::from_bytes(ip("fd00::1").bytes()), ip("fd00::1"));
  EXPECT_EQ(IpAddress::from_bytes(ip("10.1.2.3").bytes()), ip("10.1.2.3"));
  const std::array<std::uint8_t, 5> five{};
  EXPECT_THROW((void)IpAddress::from_bytes(five), Error);
}

TEST(IpAddress, KnowsItsFamilyAndSpecialValues) {
  EXPECT_EQ(ip("10.1.2.3").af(), AF_INET);
  EXPECT_EQ(ip("fd00::1").af(), AF_INET6);
  EXPECT_EQ(ip("10.1.2.3").bits(), 32U);
  EXPECT_EQ(ip("fd00::1").bits(), 128U);
  EXPECT_TRUE(IpAddress::any(Family::kIpv6).is_unspecified());
  EXPECT_TRUE(IpAddress().is_unspecified());
  EXPECT_TRUE(ip("127.9.9.9").is_loopback());
  EXPECT_TRUE(ip("::1").is_loopback());
  EXPECT_FALSE(ip("128.0.0.1").is_loopback());
  EXPECT_FALSE(ip("::2").is_loopback());
}

TEST(IpAddress, OrdersByFamilyThenNumber) {
  EXPECT_LT(ip("9.255.255.255"), ip("10.0.0.0"));
  EXPECT_LT(ip("255.255.255.255"), ip("::"));
  EXPECT_NE(ip("0.0.0.1"), ip("::1"));
}

TEST(IpPrefix, ReadsCidrNotation) {
  EXPECT_EQ(prefix("10.1.2.3/16").to_string(), "10.1.2.3/16");
  EXPECT_EQ(prefix("::/0").length, 0);
  EXPECT_EQ(prefix("fd00::/128").length, 128);
  for (const char* text :
       {"", "10.1.2.3", "10.1.2.3/", "10.1.2.3/33", "fd00::/129", "10.1.2.3/-1", "10.1.2.3/+8", "10.1.2.3/8x",
        "10.1.2.3/ 8", "/8", "10.1.2.3/0008", "10.1.2.3/999999999999"}) {
    EXPECT_FALSE(IpPrefix::parse(text)) << text;
  }
}

TEST(IpPrefix, OfABareAddressIsTheAddressItself) {
  EXPECT_EQ(IpPrefix::parse_address_or_prefix("10.1.2.3")->length, 32);
  EXPECT_EQ(IpPrefix::parse_address_or_prefix("fd00::1")->length, 128);
  EXPECT_EQ(IpPrefix::parse_address_or_prefix("10.1.2.3/8")->length, 8);
  EXPECT_FALSE(IpPrefix::parse_address_or_prefix("ten"));
}

TEST(IpPrefix, HasAFirstAndALastAddress) {
  EXPECT_EQ(prefix("10.1.2.3/16").first(), ip("10.1.0.0"));
  EXPECT_EQ(prefix("10.1.2.3/16").last(), ip("10.1.255.255"));
  EXPECT_EQ(prefix("10.1.2.3/32").first(), prefix("10.1.2.3/32").last());
  EXPECT_EQ(prefix("1.2.3.4/0").first(), ip("0.0.0.0"));
  EXPECT_EQ(prefix("1.2.3.4/0").last(), ip("255.255.255.255"));
  EXPECT_EQ(prefix("fd00::5/64").last(), ip("fd00::ffff:ffff:ffff:ffff"));
  EXPECT_EQ(prefix("fd00::5/0").last(), ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
  EXPECT_EQ(prefix("fd00::5/127").first(), ip("fd00::4"));
}

TEST(IpPrefix, KnowsItsHostBits) {
  EXPECT_TRUE(prefix("10.1.2.3/16").has_host_bits());
  EXPECT_FALSE(prefix("10.1.0.0/16").has_host_bits());
  EXPECT_EQ(prefix("10.1.2.3/16").network(), prefix("10.1.0.0/16"));
}

TEST(IpPrefix, ContainsAndOverlaps) {
  EXPECT_TRUE(prefix("10.1.0.0/16").contains(ip("10.1.255.255")));
  EXPECT_FALSE(prefix("10.1.0.0/16").contains(ip("10.2.0.0")));
  EXPECT_FALSE(prefix("0.0.0.0/0").contains(ip("::1"))) << "families do not mix";
  EXPECT_TRUE(prefix("::/0").contains(ip("fd00::1")));
  EXPECT_TRUE(prefix("10.0.0.0/8").overlaps(prefix("10.1.0.0/16")));
  EXPECT_TRUE(prefix("10.1.0.0/16").overlaps(prefix("10.0.0.0/8")));
  EXPECT_TRUE(prefix("10.1.2.3/16").overlaps(prefix("10.1.9.9/16"))) << "host bits do not count";
  EXPECT_FALSE(prefix("10.1.0.0/16").overlaps(prefix("10.2.0.0/16")));
  EXPECT_FALSE(prefix("0.0.0.0/0").overlaps(prefix("::/0")));
}

}  // namespace
}  // namespace netctl
