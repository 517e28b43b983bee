#include "iptables/tunnel_guard.hpp"

#include <gmock/gmock.h>

#include "tests/kernel/iptables/table_fixture.hpp"

namespace netctl::iptables {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class TunnelGuardTest : public PolicyTableTest {
 protected:
  void SetUp() override {
    PolicyTableTest::SetUp();
    table().install(sample::network());
  }
  std::size_t synchronise(const Tunnels& wanted) { return synchronise_tunnels(nf_socket(), wanted); }
  Tunnels present() { return list_tunnels(nf_socket()); }
  std::vector<std::string> drift(const Tunnels& wanted) { return find_tunnel_drift(nf_socket(), wanted); }
};

TEST_F(TunnelGuardTest, HoldsWhatItIsTold) {
  EXPECT_EQ(present(), Tunnels{});
  EXPECT_EQ(synchronise(sample::tunnels()), 3U);
  EXPECT_EQ(present(), sample::tunnels());
  EXPECT_EQ(synchronise(sample::tunnels()), 0U);
  EXPECT_THAT(drift(sample::tunnels()), IsEmpty());
  EXPECT_EQ(synchronise({}), 3U);
  EXPECT_EQ(present(), Tunnels{});
}

TEST_F(TunnelGuardTest, SendsOnlyTheDifference) {
  Tunnels many{{4789, 8472}, {}};
  for (unsigned i = 0; i < 3000; ++i) {
    many.peers.emplace(IpAddress::from_number(Family::kIpv4, (198U << 24U) + i), std::uint16_t{4789});
    many.peers.emplace(IpAddress::from_number(Family::kIpv6, (uint128{0xfd01} << 112U) + i),
                       std::uint16_t{8472});
  }
  EXPECT_EQ(synchronise(many), 6002U);
  many.peers.erase(many.peers.begin());
  many.peers.emplace(sample::ip("203.0.113.9"), std::uint16_t{4789});
  EXPECT_EQ(synchronise(many), 2U);
  EXPECT_EQ(present(), many);
}

TEST_F(TunnelGuardTest, NamesWhatIsMissingAndWhatIsStale) {
  synchronise(sample::tunnels());
  nft("delete element inet netctl tunnel_peers4 { 192.0.2.2 . 4789 }");
  nft("add element inet netctl tunnel_peers6 { fd00:2::9 . 4789 }");
  EXPECT_THAT(drift(sample::tunnels()),
              ElementsAre("tunnel_peers4 { 192.0.2.2 . 4789 } is missing",
                          "tunnel_peers6 { fd00:2::9 . 4789 } should not be there"));
  EXPECT_EQ(synchronise(sample::tunnels()), 2U);
  EXPECT_THAT(drift(sample::tunnels()), IsEmpty());
}

TEST_F(TunnelGuardTest, WithoutATableThereIsNothing) {
  nft("delete table inet netctl");
  EXPECT_EQ(present(), Tunnels{});
  EXPECT_FALSE(drift(sample::tunnels()).empty());
  EXPECT_THROW(synchronise(sample::tunnels()), Error);
}

TEST_F(TunnelGuardTest, AnotherInstallLeavesItAsItIs) {
  synchronise(sample::tunnels());
  table().install(sample::network());
  EXPECT_EQ(present(), sample::tunnels());
}

}  // namespace
}  // namespace netctl::iptables
