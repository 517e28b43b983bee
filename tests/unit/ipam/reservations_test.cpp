#include "tests/unit/ipam/support.hpp"

namespace netctl::ipam::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class Durable : public ::testing::Test {
 protected:
  TemporaryDirectory directory_;
  Store store_ = Store::open_durable(directory_.state());
};

TEST_F(Durable, ReservationsAreKeptByNetworkAndName) {
  const ReservationRecord web{"net", "web", {ip("10.1.2.9"), ip("fd00::9")}};
  const ReservationRecord database{"net", "db", {ip("10.1.2.10")}};
  const ReservationRecord elsewhere{"other", "web", {ip("10.1.2.9")}};
  store_.write([&](Transaction& durable) {
    for (const ReservationRecord& each : {web, database, elsewhere}) put_reservation(durable, each);
  });
  store_ = Store::open_durable(directory_.state());
  store_.write([&](Transaction& durable) {
    EXPECT_THAT(list_reservations(durable), UnorderedElementsAre(web, database, elsewhere));
    EXPECT_THAT(list_reservations(durable, "net"), UnorderedElementsAre(web, database));
    EXPECT_TRUE(erase_reservation(durable, "net", "web"));
    EXPECT_FALSE(erase_reservation(durable, "net", "web"));
    EXPECT_THAT(list_reservations(durable, "net"), ElementsAre(database));
    put_reservation(durable, {"net", "db", {ip("10.1.2.11")}});
    EXPECT_EQ(list_reservations(durable, "net").front().addresses.front(), ip("10.1.2.11"));
  });
}

TEST_F(Durable, ChosenSubnetsAreKeptByNetwork) {
  store_.write([&](Transaction& durable) {
    put_chosen_subnets(durable, "a", {prefix("172.17.0.0/16"), prefix("fd00::/64")});
    put_chosen_subnets(durable, "b", {prefix("10.210.0.0/24")});
  });
  store_.write([&](Transaction& durable) {
    EXPECT_THAT(find_chosen_subnets(durable, "a"), ElementsAre(prefix("172.17.0.0/16"), prefix("fd00::/64")));
    EXPECT_THAT(list_chosen_subnets(durable),
                UnorderedElementsAre(prefix("172.17.0.0/16"), prefix("fd00::/64"), prefix("10.210.0.0/24")));
    erase_chosen_subnets(durable, "a");
    erase_chosen_subnets(durable, "a");
    EXPECT_THAT(find_chosen_subnets(durable, "a"), IsEmpty());
    EXPECT_THAT(list_chosen_subnets(durable), ElementsAre(prefix("10.210.0.0/24")));
  });
}

TEST(ChooseSubnet, TakesTheFirstThatOverlapsNothing) {
  EXPECT_EQ(choose_ipv4_subnet({}), prefix("172.17.0.0/16"));
  EXPECT_EQ(choose_ipv4_subnet({prefix("172.17.200.0/24")}), prefix("10.210.0.0/24"));
  EXPECT_EQ(choose_ipv4_subnet({prefix("172.16.0.0/12"), prefix("10.210.0.0/23"), prefix("fd00::/8")}),
            prefix("10.210.2.0/24"));
  EXPECT_EQ(choose_ipv4_subnet({prefix("172.17.0.1/32"), prefix("10.210.0.128/25")}),
            prefix("10.210.1.0/24"));
  EXPECT_EQ(error_of([] {
              (void)choose_ipv4_subnet({prefix("172.0.0.0/8"), prefix("10.0.0.0/8")});
            }),
            ErrorCode::kSubnetUnavailable);
}

}  // namespace
}  // namespace netctl::ipam::testing
