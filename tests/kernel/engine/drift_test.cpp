// CHECK: nothing is found right after ADD, and each thing that is changed by hand afterwards is named.

#include "plugins/engine/check.hpp"
#include "plugins/engine/identity.hpp"
#include "tests/kernel/engine/engine_fixture.hpp"

namespace netctl::engine {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::output_of;

class DriftTest : public EngineTest {
 protected:
  void SetUp() override {
    EngineTest::SetUp();
    result_ = add(request());
    ASSERT_THAT(drift(), IsEmpty());
  }
  AttachmentRequest request() {
    AttachmentRequest request = wanted_dual_stack("c1", box_);
    request.endpoint.ports = {mapping(8080, 80)};
    request.endpoint.hairpin = true;
    return request;
  }
  std::vector<std::string> drift() { return find_drift(engine(), record_of(request()).value()); }
  std::string end() { return host_ifname(request().key); }
  const Box& box() const { return box_; }
  const cni::Result& result() const { return result_; }
  Error failure(const std::optional<cni::Result>& expected) {
    return error_of([&] { check(engine(), request().key, "bridge", expected); });
  }

 private:
  Box box_;
  cni::Result result_;
};

TEST_F(DriftTest, IsNoneRightAfterAdd) {
  check(engine(), request().key, "bridge", std::nullopt);
  check(engine(), request().key, "bridge", result());
}

TEST_F(DriftTest, IsFoundWithoutChangingAnything) {
  output_of({"ip", "link", "set", end(), "alias", "mine"});
  output_of({"nft", "delete", "table", "inet", "netctl"});
  const std::string before = snapshot();
  EXPECT_EQ(failure(std::nullopt).code(), ErrorCode::kDrift);
  EXPECT_EQ(snapshot(), before);
}

TEST_F(DriftTest, IsALinkThatIsGone) {
  output_of({"ip", "link", "del", end()});
  EXPECT_THAT(drift(), Contains("the host's end " + end() + " is gone"));
  EXPECT_THAT(drift(), Contains("the container has no interface eth0"));
}

TEST_F(DriftTest, IsAnAliasThatWasChanged) {
  output_of({"ip", "link", "set", end(), "alias", "mine"});
  EXPECT_THAT(drift(), Contains("the alias of " + end() + " is not this attachment's"));
}

TEST_F(DriftTest, IsALinkThatIsDown) {
  output_of({"ip", "link", "set", end(), "down"});
  EXPECT_THAT(drift(), Contains(end() + " is down"));
}

TEST_F(DriftTest, IsALinkThatLeftItsBridge) {
  output_of({"ip", "link", "set", end(), "nomaster"});
  EXPECT_THAT(drift(), Contains(end() + " is no port of br-blue"));
}

TEST_F(DriftTest, IsABridgeThatIsGone) {
  output_of({"ip", "link", "del", "br-blue"});
  EXPECT_THAT(drift(), Contains("the bridge br-blue is gone"));
}

TEST_F(DriftTest, IsEachFlagOfThePort) {
  output_of({"bridge", "link", "set", "dev", end(), "hairpin", "off"});
  EXPECT_THAT(drift(), ::testing::ElementsAre("hairpin mode of " + end() + " was changed"));
  output_of({"bridge", "link", "set", "dev", end(), "hairpin", "on", "isolated", "on"});
  EXPECT_THAT(drift(), ::testing::ElementsAre("isolation of " + end() + " was changed"));
  output_of({"bridge", "link", "set", "dev", end(), "isolated", "off", "locked", "on"});
  EXPECT_THAT(drift(), ::testing::ElementsAre("source check of " + end() + " was changed"));
  output_of({"bridge", "link", "set", "dev", end(), "locked", "off"});
  EXPECT_THAT(drift(), IsEmpty());
}

TEST_F(DriftTest, IsAnAddressThatWasRemoved) {
  box().run({"ip", "addr", "del", "10.77.0.2/24", "dev", "eth0"});
  EXPECT_THAT(drift(), Contains("address 10.77.0.2/24 is missing on eth0"));
  box().run({"ip", "addr", "del", "fd77::2/64", "dev", "eth0"});
  EXPECT_THAT(drift(), Contains("address fd77::2/64 is missing on eth0"));
}

TEST_F(DriftTest, IsARouteThatWasRemovedOrChanged) {
  box().run({"ip", "route", "del", "default"});
  EXPECT_THAT(drift(), ::testing::ElementsAre("the route to 0.0.0.0/0 is missing in the container"));
  box().run({"ip", "route", "add", "default", "via", "10.77.0.9"});
  EXPECT_THAT(drift(), ::testing::ElementsAre("the route to 0.0.0.0/0 is missing in the container"));
  box().run({"ip", "-6", "route", "del", "default"});
  EXPECT_THAT(drift(), Contains("the route to ::/0 is missing in the container"));
}

TEST_F(DriftTest, IsNotWhatLaterPluginsAdd) {
  box().run({"ip", "link", "set", "eth0", "address", "02:00:00:00:00:42"});
  box().run({"ip", "addr", "add", "192.0.2.7/24", "dev", "eth0"});
  box().run({"ip", "route", "add", "198.51.100.0/24", "via", "10.77.0.1"});
  EXPECT_THAT(drift(), IsEmpty());
}

TEST_F(DriftTest, IsAnElementThatWasDeleted) {
  output_of({"nft", "flush", "map", "inet", "netctl", "publish4"});
  EXPECT_THAT(drift(), Contains(AllOf(HasSubstr("publish4"), HasSubstr("8080"), HasSubstr("is missing"))));
}

TEST_F(DriftTest, IsATableThatWasDeleted) {
  output_of({"nft", "delete", "table", "inet", "netctl"});
  EXPECT_THAT(drift(), ::testing::ElementsAre("table inet netctl is missing"));
}

TEST_F(DriftTest, IsALeaseThatThePoolDoesNotHold) {
  const ipam::AttachmentRecord record = record_of(request()).value();
  engine().live().write([&](ipam::Transaction& store) {
    ipam::release(store, {record.leases.front()}, record.key, boot_nanoseconds());
  });
  EXPECT_THAT(drift(), ::testing::ElementsAre("the pool does not hold 10.77.0.2 for this container"));
}

TEST_F(DriftTest, IsANetworkThatTheStoreDoesNotKnow) {
  engine().live().write([](ipam::Transaction& store) { store.erase_network("blue"); });
  EXPECT_THAT(drift(), Contains("the store knows no network blue"));
}

TEST_F(DriftTest, IsAnotherNamespaceBehindThePath) {
  const Box other;
  change_record(request(), [&](ipam::AttachmentRecord& record) { record.netns_path = other.path(); });
  EXPECT_THAT(drift(), Contains(other.path() + " is another network namespace than at ADD"));
  change_record(request(), [&](ipam::AttachmentRecord& record) { record.netns_path = "/nonexistent"; });
  EXPECT_THAT(drift(), Contains(HasSubstr("/nonexistent")));
}

TEST_F(DriftTest, IsToldInOneError) {
  output_of({"ip", "link", "set", end(), "alias", "mine"});
  box().run({"ip", "route", "del", "default"});
  const Error error = failure(result());
  EXPECT_EQ(error.code(), ErrorCode::kDrift);
  EXPECT_THAT(error.message(), HasSubstr("name-of-c1"));
  EXPECT_THAT(error.message(), HasSubstr("alias of " + end()));
  EXPECT_THAT(error.message(), HasSubstr("route to 0.0.0.0/0"));
  EXPECT_THAT(error.message(), HasSubstr("run DEL and ADD again"));
}

TEST_F(DriftTest, IsWhatTheRuntimeExpectsAndIsNotThere) {
  cni::Result expected = result();
  expected.ips.push_back({sample::prefix("10.77.0.200/24"), std::nullopt, 2});
  EXPECT_THAT(failure(expected).message(), HasSubstr("address 10.77.0.200/24 is missing on eth0"));
}

TEST_F(DriftTest, IsAnInterruptedOperation) {
  change_record(request(),
                [](ipam::AttachmentRecord& record) { record.parts["bridge"] = ipam::State::kDeleting; });
  EXPECT_THAT(failure(std::nullopt).message(), HasSubstr("its ADD or DEL was interrupted"));
}

TEST_F(DriftTest, CannotBeLookedForWithoutARecord) {
  del(request());
  EXPECT_EQ(failure(std::nullopt).code(), ErrorCode::kUnknownContainer);
  add(request());
  const Error error = error_of([&] { check(engine(), request().key, "portmap", std::nullopt); });
  EXPECT_EQ(error.code(), ErrorCode::kUnknownContainer);
  EXPECT_THAT(error.message(), HasSubstr("portmap"));
}

}  // namespace
}  // namespace netctl::engine
