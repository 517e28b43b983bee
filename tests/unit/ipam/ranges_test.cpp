#include "tests/unit/ipam/support.hpp"

namespace netctl::ipam::testing {
namespace {

struct ResolveCase {
  const char* subnet;
  const char* start;
  const char* end;
  const char* gateway;
  const char* expected;  // "first last gateway", or what the refusal says
};

std::optional<IpAddress> optional_ip(const char* text) {
  return *text == '\0' ? std::nullopt : IpAddress::parse(text);
}

TEST(Ranges, DefaultsAndRefusals) {
  const ResolveCase cases[] = {
      {"10.1.0.0/16", "", "", "", "10.1.0.1 10.1.255.254 10.1.0.1"},
      {"10.1.2.0/24", "10.1.2.10", "10.1.2.20", "10.1.2.254", "10.1.2.10 10.1.2.20 10.1.2.254"},
      {"10.1.2.0/24", "", "", "10.9.9.9", "10.1.2.1 10.1.2.254 10.9.9.9"},
      {"10.1.2.0/30", "", "", "", "10.1.2.1 10.1.2.2 10.1.2.1"},
      {"10.1.2.2/31", "", "", "", "10.1.2.2 10.1.2.3 -"},
      {"10.1.2.2/31", "", "", "10.1.2.2", "10.1.2.2 10.1.2.3 10.1.2.2"},
      {"10.1.2.3/32", "", "", "", "10.1.2.3 10.1.2.3 -"},
      {"0.0.0.0/0", "", "", "", "0.0.0.1 255.255.255.254 0.0.0.1"},
      {"fd00::/64", "", "", "", "fd00::1 fd00::ffff:ffff:ffff:ffff fd00::1"},
      {"fd00::2/127", "", "", "", "fd00::2 fd00::3 -"},
      {"fd00::5/128", "", "", "", "fd00::5 fd00::5 -"},
      {"::/0", "", "", "", "::1 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ::1"},
      {"10.1.2.3/24", "", "", "", "the network address is 10.1.2.0"},
      {"10.1.2.0/24", "10.1.3.1", "", "", "rangeStart 10.1.3.1 is not in subnet 10.1.2.0/24"},
      {"10.1.2.0/24", "", "10.1.3.1", "", "rangeEnd 10.1.3.1 is not in subnet 10.1.2.0/24"},
      {"10.1.2.0/24", "fd00::1", "", "", "rangeStart fd00::1 is not in subnet"},
      {"10.1.2.0/24", "10.1.2.9", "10.1.2.8", "", "behind its end"},
      {"10.1.2.0/24", "", "", "fd00::1", "not of the family"},
  };
  for (const ResolveCase& each : cases) {
    std::string answer;
    try {
      const Range resolved = resolve_range(
          {prefix(each.subnet), optional_ip(each.start), optional_ip(each.end), optional_ip(each.gateway)});
      answer = resolved.first.to_string() + " " + resolved.last.to_string() + " " +
               (resolved.gateway ? resolved.gateway->to_string() : "-");
      EXPECT_EQ(answer, each.expected);
    } catch (const Error& refusal) {
      EXPECT_EQ(refusal.code(), ErrorCode::kInvalidConfig);
      EXPECT_THAT(refusal.message(), ::testing::HasSubstr(each.expected));
    }
  }
}

TEST(Ranges, WhatAPoolMayNotBe) {
  const struct {
    std::vector<RangeSet> sets;
    const char* complaint;
  } cases[] = {
      {{}, "no address ranges"},
      {{{}}, "empty range set"},
      {{{range("10.1.0.0/24"), range("fd00::/64")}}, "mixes IPv4 and IPv6"},
      {{{range("10.1.0.0/24"), range("10.1.0.0/16")}}, "overlap"},
      {{{range("10.1.0.0/24")}, {range("10.1.0.0/24", "10.1.0.250", "10.1.0.254")}}, "overlap"},
      {{{range("fd00::/64")}, {range("fd00::/80")}}, "overlap"},
  };
  for (const auto& each : cases) {
    std::string message;
    EXPECT_EQ(error_of([&] { validate(pool_of(each.sets)); }, &message), ErrorCode::kInvalidConfig);
    EXPECT_THAT(message, ::testing::HasSubstr(each.complaint));
  }
  validate(pool_of({{range("10.1.0.0/24"), range("10.1.1.0/24")}, {range("fd00::/64")}}));
  validate(pool_of(
      {{range("10.1.0.0/24", "10.1.0.2", "10.1.0.9")}, {range("10.1.0.0/24", "10.1.0.10", "10.1.0.20")}}));
}

TEST(Ranges, SizeCountsWhatCanBeLeased) {
  const auto size = [](PoolConfig pool) {
    const TemporaryDirectory directory;
    Store store = Store::open_live(directory.state(), kCookie, kBoot);
    std::uint64_t counted = 0;
    store.read([&](const Transaction& transaction) { counted = utilisation(transaction, pool).size; });
    return counted;
  };
  EXPECT_EQ(size(pool_of({{range("10.1.2.0/24")}})), 253U);  // without network, broadcast and gateway
  EXPECT_EQ(size(pool_of({{range("10.1.2.0/31")}})), 2U);
  EXPECT_EQ(size(pool_of({{range("10.1.2.0/32")}})), 1U);
  EXPECT_EQ(size(pool_of({{range("10.1.2.0/24"), range("10.1.3.0/24")}, {range("10.1.4.0/24")}})), 759U);
  EXPECT_EQ(size(pool_of({{range("10.1.2.0/24", "10.1.2.0", "10.1.2.255")}})), 253U);
  EXPECT_EQ(size(pool_of({{range("fd00::/64")}})), 0xfffffffffffffffeU);
  EXPECT_EQ(size(pool_of({{range("fd00::/48")}})), 0xffffffffffffffffU);
  EXPECT_EQ(size(pool_of({{range("fd00::/64")}, {range("fd01::/64")}})), 0xffffffffffffffffU);
  PoolConfig excluding = pool_of({{range("10.1.2.0/24")}});
  excluding.exclude = {prefix("10.1.2.128/25"), prefix("10.1.2.192/26"), prefix("10.9.0.0/16"),
                       prefix("fd00::/8")};
  EXPECT_EQ(size(excluding), 126U);
}

}  // namespace
}  // namespace netctl::ipam::testing
