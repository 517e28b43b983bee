#include "plugins/engine/addressing.hpp"

#include "ipam/reservations.hpp"
#include "tests/kernel/engine/engine_fixture.hpp"

namespace netctl::engine {
namespace {

using sample::address;
using sample::prefix;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::output_of;

class AddressingTest : public EngineTest {
 protected:
  void reserve_for(const std::string& name, const std::string& text) {
    engine().durable().write([&](ipam::Transaction& store) {
      ipam::put_reservation(store, {"blue", name, {address(text)}});
    });
  }
  static AttachmentRequest without_subnet(const std::string& id, const Box& box, const std::string& network) {
    AttachmentRequest request = wanted(id, box, network);
    request.addressing.sets.clear();
    return request;
  }
};

TEST_F(AddressingTest, GivesTheAddressesAndTheMacThatAreAskedFor) {
  const Box box;
  AttachmentRequest request = wanted_dual_stack("c1", box);
  request.addressing.wanted = {address("10.77.0.99"), address("fd77::99")};
  request.endpoint.mac = MacAddress::parse("02:00:00:00:00:77");
  EXPECT_THAT(addresses_of(add(request)), ElementsAre("10.77.0.99/24", "fd77::99/64"));
  EXPECT_EQ(box.ip({"link", "show", "dev", "eth0"}).at(0).at("address"), "02:00:00:00:00:77");
}

TEST_F(AddressingTest, RefusesAnAddressThatALivingContainerHas) {
  const Box one, other;
  AttachmentRequest first = wanted("c1", one);
  first.addressing.wanted = {address("10.77.0.99")};
  add(first);
  AttachmentRequest second = wanted("c2", other);
  second.addressing.wanted = {address("10.77.0.99")};
  const Error error = refusal(second);
  EXPECT_EQ(error.code(), ErrorCode::kAddressTaken);
  EXPECT_THAT(error.message(), HasSubstr("10.77.0.99"));
  EXPECT_FALSE(record_of(second));
  EXPECT_TRUE(host_end(first));
}

TEST_F(AddressingTest, KeepsAReservedAddressForItsName) {
  reserve_for("name-of-c2", "10.77.0.2");
  const Box one, other;
  EXPECT_THAT(addresses_of(add(wanted("c1", one))), ElementsAre("10.77.0.3/24"));
  const AttachmentRequest owner = wanted("c2", other);
  EXPECT_THAT(addresses_of(add(owner)), ElementsAre("10.77.0.2/24"));
  del(owner);
  EXPECT_THAT(addresses_of(add(owner)), ElementsAre("10.77.0.2/24"));
}

TEST_F(AddressingTest, RefusesAnAddressThatIsReservedForAnother) {
  reserve_for("somebody", "10.77.0.50");
  const Box box;
  AttachmentRequest request = wanted("c1", box);
  request.addressing.wanted = {address("10.77.0.50")};
  EXPECT_EQ(refusal(request).code(), ErrorCode::kAddressTaken);
}

TEST_F(AddressingTest, ChoosesASubnetThatTheHostDoesNotRoute) {
  output_of({"ip", "link", "add", "uplink", "type", "bridge"});
  output_of({"ip", "addr", "add", "172.17.5.1/24", "dev", "uplink"});
  output_of({"ip", "link", "set", "uplink", "up"});
  output_of({"ip", "route", "add", "10.210.0.0/23", "dev", "uplink"});
  output_of({"ip", "route", "add", "default", "dev", "uplink"});
  const Box box;
  EXPECT_THAT(addresses_of(add(without_subnet("c1", box, "green"))), ElementsAre("10.210.2.2/24"));
}

TEST_F(AddressingTest, RemembersTheSubnetThatItChose) {
  const Box one, other, third;
  const AttachmentRequest first = without_subnet("c1", one, "green");
  EXPECT_THAT(addresses_of(add(first)), ElementsAre("172.17.0.2/16"));
  EXPECT_THAT(addresses_of(add(without_subnet("c2", other, "red"))), ElementsAre("10.210.0.2/24"));
  del(first);
  EXPECT_THAT(addresses_of(add(without_subnet("c3", third, "green"))), ElementsAre("172.17.0.3/16"));
}

TEST_F(AddressingTest, ClearsADeadHolderOfTheAddressAway) {
  Box box;
  AttachmentRequest dead = wanted("c1", box);
  dead.addressing.wanted = {address("10.77.0.99")};
  dead.endpoint.ports = {mapping(8080, 80)};
  add(dead);
  kill(box, dead);
  const Box other;
  AttachmentRequest next = wanted("c2", other);
  next.addressing.wanted = {address("10.77.0.99")};
  const cni::Result result = add(next);
  EXPECT_THAT(addresses_of(result), ElementsAre("10.77.0.99/24"));
  EXPECT_TRUE(published().empty()) << "the dead one's port leads to the next container: "
                                   << published().front();
  (void)collect_garbage(engine(), std::nullopt);
  EXPECT_FALSE(record_of(dead));
  check(engine(), next.key, "bridge", result);
}

TEST_F(AddressingTest, ClearsTheDeadAwayWhenThePoolIsFull) {
  Box box;
  const auto small = [](AttachmentRequest request) {
    request.addressing.sets = {{{prefix("10.77.0.0/30"), {}, {}, {}}}};
    return request;
  };
  const AttachmentRequest only = small(wanted("c1", box));
  EXPECT_THAT(addresses_of(add(only)), ElementsAre("10.77.0.2/30"));
  const Box other;
  const AttachmentRequest next = small(wanted("c2", other));
  const Error error = refusal(next);
  EXPECT_EQ(error.code(), ErrorCode::kNoFreeAddress);
  EXPECT_TRUE(host_end(only));
  kill(box, only);
  EXPECT_THAT(addresses_of(add(next)), ElementsAre("10.77.0.2/30"));
  EXPECT_FALSE(record_of(only));
}

TEST_F(AddressingTest, LeavesExcludedAddressesOut) {
  const Box box;
  AttachmentRequest request = wanted("c1", box);
  request.addressing.exclude = {prefix("10.77.0.0/29")};
  EXPECT_THAT(addresses_of(add(request)), ElementsAre("10.77.0.8/24"));
}

}  // namespace
}  // namespace netctl::engine
