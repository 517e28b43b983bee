#include <ctime>

#include "tests/unit/ipam/support.hpp"

namespace netctl::ipam::testing {
namespace {

constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kUdp = 17;

PortRecord port(const char* host_ip, std::uint16_t host_port, std::uint16_t count = 1,
                std::uint8_t protocol = kTcp) {
  PortRecord record;
  record.protocol = protocol;
  if (*host_ip != '\0') record.host_ip = ip(host_ip);
  record.host_port = host_port;
  record.count = count;
  record.container_port = 80;
  return record;
}

class PortClaims : public StoreTest {
 protected:
  bool claim(const PortRecord& wanted, const AttachmentKey& owner) {
    std::optional<PortConflict> conflict;
    store_.write([&](Transaction& transaction) { conflict = claim_port(transaction, wanted, owner); });
    return !conflict;
  }
  void give_back(const PortRecord& claimed, const AttachmentKey& owner) {
    store_.write([&](Transaction& transaction) { release_port(transaction, claimed, owner); });
  }
  std::optional<std::uint16_t> free_from(std::uint16_t first, std::uint16_t count = 1,
                                         const char* host_ip = "", std::uint8_t protocol = kTcp) {
    std::optional<std::uint16_t> found;
    store_.read([&](const Transaction& transaction) {
      const std::optional<IpAddress> address = *host_ip == '\0' ? std::nullopt : IpAddress::parse(host_ip);
      found = find_free_port(transaction, protocol, address, first, count);
    });
    return found;
  }
};

TEST_F(PortClaims, OverlapTable) {
  const struct {
    PortRecord held, wanted;
    bool conflict;
  } cases[] = {
      {port("", 80), port("", 80), true},
      {port("", 80), port("", 81), false},
      {port("", 80), port("", 80, 1, kUdp), false},
      {port("", 80), port("10.0.0.1", 80), true},
      {port("", 80), port("fd00::1", 80), true},
      {port("", 80), port("0.0.0.0", 80), true},
      {port("", 80), port("::", 80), true},
      {port("0.0.0.0", 80), port("10.0.0.1", 80), true},
      {port("0.0.0.0", 80), port("fd00::1", 80), false},
      {port("0.0.0.0", 80), port("::", 80), false},
      {port("::", 80), port("fd00::1", 80), true},
      {port("::", 80), port("10.0.0.1", 80), false},
      {port("10.0.0.1", 80), port("10.0.0.1", 80), true},
      {port("10.0.0.1", 80), port("10.0.0.2", 80), false},
      {port("fd00::1", 80), port("fd00::2", 80), false},
      {port("", 80, 10), port("", 89), true},
      {port("", 80, 10), port("", 90), false},
      {port("", 80, 10), port("", 79), false},
      {port("", 80, 10), port("10.0.0.1", 75, 6), true},
      {port("10.0.0.1", 80, 10), port("10.0.0.2", 85, 10), false},
      {port("10.0.0.1", 80, 10), port("0.0.0.0", 85, 10), true},
      {port("", 65535), port("", 65000, 536), true},
      {port("", 1, 65535), port("", 65535), true},
      {port("", 256), port("", 1, 255), false},
  };
  int number = 0;
  for (const auto& each : cases) {
    for (const bool swapped : {false, true}) {
      const PortRecord& held = swapped ? each.wanted : each.held;
      const PortRecord& wanted = swapped ? each.held : each.wanted;
      ASSERT_TRUE(claim(held, container("holder")));
      EXPECT_EQ(!claim(wanted, container("other")), each.conflict)
          << "case " << number << (swapped ? " swapped" : "");
      give_back(held, container("holder"));
      give_back(wanted, container("other"));
    }
    ++number;
  }
}

TEST_F(PortClaims, AConflictNamesTheHolderAndClaimsNothing) {
  ASSERT_TRUE(claim(port("0.0.0.0", 80), container("a")));
  store_.write([&](Transaction& transaction) {
    AttachmentRecord record;
    record.key = container("a");
    record.container_name = "web";
    transaction.put_attachment(record);
    const std::optional<PortConflict> conflict =
        claim_port(transaction, port("10.0.0.1", 80), container("b"));
    ASSERT_TRUE(conflict);
    EXPECT_EQ(conflict->wanted, port("10.0.0.1", 80));
    EXPECT_EQ(conflict->holder, container("a"));
    EXPECT_EQ(conflict->holder_name, "web");
    EXPECT_EQ(find_port_owner(transaction, port("10.0.0.1", 80)), std::nullopt);
    EXPECT_EQ(find_port_owner(transaction, port("0.0.0.0", 80)), container("a"));
  });
}

TEST_F(PortClaims, ClaimingTwiceIsClaimingOnce) {
  EXPECT_TRUE(claim(port("", 80), container("a")));
  EXPECT_TRUE(claim(port("", 80), container("a")));
  give_back(port("", 80), container("a"));
  give_back(port("", 80), container("a"));
  EXPECT_TRUE(claim(port("", 80), container("b")));
}

TEST_F(PortClaims, OnlyTheOwnerFrees) {
  EXPECT_TRUE(claim(port("", 80), container("a")));
  give_back(port("", 80), container("b"));
  EXPECT_FALSE(claim(port("", 80), container("b")));
}

TEST_F(PortClaims, TheFirstEndpointOfAContainerKeepsItsPorts) {
  EXPECT_TRUE(claim(port("", 80), container("a", "eth0")));
  EXPECT_TRUE(claim(port("", 80), container("a", "eth1")));
  give_back(port("", 80), container("a", "eth1"));
  EXPECT_FALSE(claim(port("", 80), container("b"))) << "the second endpoint freed the claim of the first";
  EXPECT_TRUE(claim(port("", 80), {"other network", "a", "eth0"}));
  EXPECT_FALSE(claim(port("", 80), container("b"))) << "a second network took the claim over";
  give_back(port("", 80), container("a", "eth0"));
  EXPECT_TRUE(claim(port("", 80), container("b")));
}

TEST_F(PortClaims, PortsThatDoNotExistAreRefused) {
  for (const PortRecord& wanted : {port("", 0), port("", 80, 0), port("", 65535, 2), port("", 2, 65535)}) {
    EXPECT_EQ(error_of([&] { claim(wanted, container("a")); }), ErrorCode::kInvalidConfig);
  }
  EXPECT_TRUE(claim(port("", 1, 65535), container("a")));
}

TEST_F(PortClaims, FreePortsAreFoundBetweenClaims) {
  ASSERT_TRUE(claim(port("", 1000), container("a")));
  ASSERT_TRUE(claim(port("10.0.0.1", 1001), container("b")));
  ASSERT_TRUE(claim(port("", 1003, 5), container("c")));
  ASSERT_TRUE(claim(port("", 1009), container("d")));
  EXPECT_EQ(free_from(1000), 1002);
  EXPECT_EQ(free_from(1000, 1, "10.0.0.2"), 1001);
  EXPECT_EQ(free_from(1000, 1, "fd00::1"), 1001);
  EXPECT_EQ(free_from(1000, 1, "0.0.0.0"), 1002);
  EXPECT_EQ(free_from(1003), 1008);
  EXPECT_EQ(free_from(1000, 2), 1010);
  EXPECT_EQ(free_from(1000, 1, "", kUdp), 1000);
  EXPECT_EQ(free_from(0), 1);
  EXPECT_EQ(free_from(65535), 65535);
  EXPECT_EQ(free_from(65535, 2), std::nullopt);
  EXPECT_EQ(free_from(1, 0), std::nullopt);
  ASSERT_TRUE(claim(port("", 65535), container("e")));
  EXPECT_EQ(free_from(65535), std::nullopt);
}

TEST_F(PortClaims, TenThousandClaimsDoNotSlowTheNext) {
  store_.write([&](Transaction& transaction) {
    for (std::uint16_t number = 10'000; number < 20'000; ++number) {
      ASSERT_FALSE(claim_port(transaction, port("", number), container(std::to_string(number))));
    }
  });
  const std::clock_t begin = std::clock();
  EXPECT_TRUE(claim(port("", 20'000), container("x")));
  EXPECT_FALSE(claim(port("", 15'000), container("x")));
  EXPECT_EQ(free_from(10'000), 20'001);
  // Processor time, and fifty times what it takes: this notices a walk over everything, not a busy machine.
  EXPECT_LT(std::clock() - begin, CLOCKS_PER_SEC / 2);
}

}  // namespace
}  // namespace netctl::ipam::testing
