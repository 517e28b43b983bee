// Two networks on one bridge. It has one IPv4 address, so that one of them is of IPv4 and the other of IPv6.

#include "plugins/engine/network.hpp"
#include "tests/kernel/engine/engine_fixture.hpp"

namespace netctl::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::output_of;

class SharedBridgeTest : public EngineTest {
 protected:
  AttachmentRequest blue(const std::string& id, const Box& box) {
    AttachmentRequest request = wanted(id, box, "blue");
    request.network.bridge = "br-shared";
    return request;
  }
  AttachmentRequest red(const std::string& id, const Box& box) {
    AttachmentRequest request = wanted(id, box, "red");
    request.network.bridge = "br-shared";
    request.addressing.sets = {{{sample::prefix("fd77::/64"), {}, {}, {}}}};
    return request;
  }
  AttachmentRequest blue() { return blue("c1", blue_box_); }
  AttachmentRequest red() { return red("c2", red_box_); }
  const Box& red_box() const { return red_box_; }
  const Box& blue_box() const { return blue_box_; }

  void check_all(const std::vector<AttachmentRequest>& requests) {
    for (const AttachmentRequest& request : requests) {
      EXPECT_THAT(find_drift(engine(), record_of(request).value()), ElementsAre()) << request.key.network;
    }
  }
  static std::string guarded_links() {
    return output_of({"nft", "list", "set", "inet", "netctl", "guarded_links"});
  }

 private:
  Box blue_box_, red_box_;
};

TEST_F(SharedBridgeTest, GoesWithTheLastOfBoth) {
  const std::string before = snapshot();
  add(blue());
  add(red());
  EXPECT_EQ(host_end(blue())->master_index, host_end(red())->master_index);
  check_all({blue(), red()});
  del(blue());
  EXPECT_TRUE(link("br-shared"));
  red_box().run({"ping", "-6", "-c1", "-W5", "fd77::1"});
  check_all({red()});
  del(red());
  EXPECT_FALSE(link("br-shared"));
  EXPECT_EQ(snapshot(), before);
}

TEST_F(SharedBridgeTest, GoesWithTheLastOfBothInTheOtherOrder) {
  const std::string before = snapshot();
  add(blue());
  add(red());
  del(red());
  EXPECT_TRUE(link("br-shared"));
  check_all({blue()});
  del(blue());
  EXPECT_FALSE(link("br-shared"));
  EXPECT_EQ(snapshot(), before);
}

TEST_F(SharedBridgeTest, StaysWhenSomethingElseMadeIt) {
  output_of({"ip", "link", "add", "br-shared", "type", "bridge"});
  add(blue());
  add(red());
  del(blue());
  del(red());
  EXPECT_TRUE(link("br-shared"));
}

TEST_F(SharedBridgeTest, GetsTheContainersOfBothBackWhenItWasDeleted) {
  add(blue());
  add(red());
  output_of({"ip", "link", "del", "br-shared"});
  const Box next_blue, next_red;
  add(blue("c3", next_blue));
  add(red("c4", next_red));
  const std::uint32_t bridge = link("br-shared")->index;
  EXPECT_EQ(host_end(blue())->master_index, bridge);
  EXPECT_EQ(host_end(red())->master_index, bridge);
  check_all({blue(), red()});
}

/// What one network of the link needs may not be switched off by another one.
TEST_F(SharedBridgeTest, KeepsTheGuardOfLocalhostForTheOneThatPublishes) {
  AttachmentRequest publishing = blue();
  publishing.endpoint.ports = {mapping(8080, 80)};
  add(publishing);
  add(red());
  EXPECT_THAT(guarded_links(), HasSubstr("br-shared"));
  check_all({publishing, red()});
  del(red());
  EXPECT_THAT(guarded_links(), HasSubstr("br-shared"));
  check_all({publishing});
  add(red());
  del(publishing);
  EXPECT_THAT(guarded_links(), Not(HasSubstr("br-shared")));
  check_all({red()});
}

TEST_F(SharedBridgeTest, HasOneIpv4AddressOnly) {
  add(blue());
  AttachmentRequest other_subnet = red();
  other_subnet.addressing.sets = {{{sample::prefix("10.78.0.0/24"), {}, {}, {}}}};
  const Error error = refusal(other_subnet);
  EXPECT_EQ(error.code(), ErrorCode::kInvalidConfig);
  EXPECT_THAT(error.message(), HasSubstr("10.78.0.1/24"));
  EXPECT_FALSE(network_record("red"));
  check_all({blue()});
  blue_box().run({"ping", "-c1", "-W5", "10.77.0.1"});
}

TEST_F(SharedBridgeTest, DoesNotGiveOneSubnetToBoth) {
  add(blue());
  AttachmentRequest same_subnet = red();
  same_subnet.addressing.sets = blue().addressing.sets;
  const Error error = refusal(same_subnet);
  EXPECT_EQ(error.code(), ErrorCode::kSubnetUnavailable);
  EXPECT_THAT(error.message(), HasSubstr("network \"blue\""));
  EXPECT_FALSE(network_record("red"));
  check_all({blue()});
}

}  // namespace
}  // namespace netctl::engine
