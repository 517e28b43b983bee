// Links whose container end waits in the host's namespace until the runtime takes it.

#include "plugins/engine/identity.hpp"
#include "plugins/engine/liveness.hpp"
#include "plugins/engine/publish.hpp"
#include "tests/kernel/engine/engine_fixture.hpp"

namespace netctl::engine {
namespace {

using sample::address;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::output_of;

class HandedOverTest : public EngineTest {
 protected:
  /// As a runtime asks that makes the sandbox later.
  AttachmentRequest request() {
    AttachmentRequest request = wanted("c1", box_);
    request.netns_path = "/run/not-there-yet";
    request.endpoint.handed_over = true;
    request.addressing = {};
    request.addressing.kind = Addressing::kStatic;
    request.addressing.fixed = {{IpPrefix{address("10.77.0.9"), 24}, address("10.77.0.1"), {}}};
    return request;
  }
  std::string waiting_end() { return handed_over_ifname(request().key); }
  void take_over() { output_of({"ip", "link", "set", waiting_end(), "netns", box_.path()}); }
  Box& box() { return box_; }

 private:
  Box box_;
};

TEST_F(HandedOverTest, WaitsInTheHostAndGoesWithTheHostEnd) {
  const std::string before = snapshot();
  const cni::Result result = add(request());
  EXPECT_THAT(addresses_of(result), ElementsAre("10.77.0.9/24"));
  const auto waiting = link(waiting_end());
  ASSERT_TRUE(waiting);
  EXPECT_FALSE(waiting->up);
  EXPECT_TRUE(host_end(request())->up);
  EXPECT_FALSE(box().has_interface());
  check(engine(), request().key, "bridge", std::nullopt);
  take_over();
  EXPECT_FALSE(link(waiting_end()));
  check(engine(), request().key, "bridge", std::nullopt);
  del(request());
  EXPECT_EQ(snapshot(), before);
  EXPECT_FALSE(record_of(request()));
}

TEST_F(HandedOverTest, LivesAsLongAsItsLink) {
  add(request());
  EXPECT_EQ(examine(engine(), record_of(request()).value()), Liveness::kAlive);
  take_over();
  EXPECT_EQ(examine(engine(), record_of(request()).value()), Liveness::kAlive);
  kill(box(), request());
  EXPECT_EQ(examine(engine(), record_of(request()).value()), Liveness::kDead);
  EXPECT_TRUE(reclaim_if_dead(engine(), request().key));
  EXPECT_FALSE(record_of(request()));
}

TEST_F(HandedOverTest, TakesThePlaceOfWhatACrashLeft) {
  const std::string before = snapshot();
  add(request());
  engine().live().write([&](ipam::Transaction& store) { store.erase_attachment(request().key); });
  add(request());
  take_over();
  del(request());
  EXPECT_EQ(snapshot(), before);
}

TEST_F(HandedOverTest, PublishesBeforeTheSandboxIsThere) {
  add(request());
  PublishRequest ports;
  ports.key = request().key;
  ports.netns_path = request().netns_path;
  ports.targets = {address("10.77.0.9")};
  ports.ports = {mapping(8080, 80)};
  publish(engine(), ports);
  EXPECT_THAT(published(), ElementsAre("8080/tcp to 10.77.0.9:80"));
  del(request());
  detach_part(engine(), request().key, kPublishPart);
  EXPECT_THAT(published(), IsEmpty());
}

TEST_F(HandedOverTest, KnowsTheSandboxThatIsThereAlready) {
  AttachmentRequest running = request();
  running.netns_path = box().path();
  add(running);
  EXPECT_EQ(record_of(running)->netns_cookie, box().netns().cookie());
}

TEST_F(HandedOverTest, RefusesASandboxThatIsNoNamespace) {
  const std::string before = snapshot();
  for (const char* path : {"/", "/dev/zero", "/etc/hostname", "/proc/self/ns/mnt", "/proc/self/ns/net"}) {
    AttachmentRequest wrong = request();
    wrong.netns_path = path;
    EXPECT_EQ(refusal(wrong).code(), ErrorCode::kInvalidNetns) << path;
  }
  EXPECT_EQ(snapshot(), before);
}

TEST_F(HandedOverTest, AcceptsTheFileOnWhichANamespaceIsMountedElsewhere) {
  const cni::test::TemporaryFolder folder;
  cni::test::write_file(folder / "sandbox", "");
  AttachmentRequest elsewhere = request();
  elsewhere.netns_path = folder / "sandbox";
  add(elsewhere);
  EXPECT_EQ(record_of(elsewhere)->netns_cookie, 0U);
}

}  // namespace
}  // namespace netctl::engine
