// Two networks on one bridge, each with its own subnet of the same gateway's family or not.

#include "plugins/engine/network.hpp"
#include "tests/kernel/engine/engine_fixture.hpp"

namespace netctl::engine {
namespace {

using ::testing::HasSubstr;
using testing::output_of;

class SharedBridgeTest : public EngineTest {
 protected:
  AttachmentRequest blue() { return on_shared_bridge(wanted("c1", blue_box_, "blue"), "10.77.0.0/24"); }
  /// Another range of the same subnet's gateway: the bridge has one IPv4 address.
  AttachmentRequest red() { return on_shared_bridge(wanted("c2", red_box_, "red"), "10.77.0.0/24"); }

  const Box& red_box() const { return red_box_; }
  const Box& blue_box() const { return blue_box_; }

 private:
  static AttachmentRequest on_shared_bridge(AttachmentRequest request, const std::string& subnet) {
    request.network.bridge = "br-shared";
    const bool is_red = request.key.network == "red";
    const auto start = is_red ? std::optional(sample::address("10.77.0.100")) : std::nullopt;
    request.addressing.sets = {{{sample::prefix(subnet), start, {}, {}}}};
    return request;
  }
  Box blue_box_, red_box_;
};

TEST_F(SharedBridgeTest, GoesWithTheLastOfBoth) {
  const std::string before = snapshot();
  add(blue());
  add(red());
  EXPECT_EQ(host_end(blue())->master_index, host_end(red())->master_index);
  del(blue());
  EXPECT_TRUE(link("br-shared"));
  red_box().run({"ping", "-c1", "-W5", "10.77.0.1"});
  check(engine(), red().key, "bridge", std::nullopt);
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
  check(engine(), blue().key, "bridge", std::nullopt);
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
  AttachmentRequest mends_blue = blue();
  mends_blue.key.container_id = "c3";
  mends_blue.netns_path = next_blue.path();
  add(mends_blue);
  AttachmentRequest mends_red = red();
  mends_red.key.container_id = "c4";
  mends_red.netns_path = next_red.path();
  add(mends_red);
  const std::uint32_t bridge = link("br-shared")->index;
  EXPECT_EQ(host_end(blue())->master_index, bridge);
  EXPECT_EQ(host_end(red())->master_index, bridge);
  check(engine(), blue().key, "bridge", std::nullopt);
  check(engine(), red().key, "bridge", std::nullopt);
}

TEST_F(SharedBridgeTest, HasOneIpv4AddressOnly) {
  add(blue());
  AttachmentRequest other_subnet = red();
  other_subnet.addressing.sets = {{{sample::prefix("10.78.0.0/24"), {}, {}, {}}}};
  const Error error = refusal(other_subnet);
  EXPECT_EQ(error.code(), ErrorCode::kInvalidConfig);
  EXPECT_THAT(error.message(), HasSubstr("10.78.0.1/24"));
  EXPECT_FALSE(network_record("red"));
  check(engine(), blue().key, "bridge", std::nullopt);
  blue_box().run({"ping", "-c1", "-W5", "10.77.0.1"});
}

}  // namespace
}  // namespace netctl::engine
