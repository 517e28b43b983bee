#include "plugins/engine/liveness.hpp"

#include "tests/kernel/engine/engine_fixture.hpp"

namespace netctl::engine {
namespace {

using testing::output_of;

class LivenessTest : public EngineTest {
 protected:
  void SetUp() override {
    EngineTest::SetUp();
    add(request());
  }
  AttachmentRequest request() { return wanted("c1", box_); }
  ipam::AttachmentRecord record() { return record_of(request()).value(); }
  void delete_host_end() { output_of({"ip", "link", "del", host_end(request())->name}); }
  Box& box() { return box_; }

 private:
  Box box_;
};

TEST_F(LivenessTest, IsProvenByTheLinkAlone) {
  ipam::AttachmentRecord moved = record();
  moved.netns_path = "/nonexistent";
  EXPECT_EQ(examine(engine(), moved), Liveness::kAlive);
}

TEST_F(LivenessTest, IsProvenByTheNamespace) {
  delete_host_end();
  EXPECT_EQ(examine(engine(), record()), Liveness::kAlive);
}

TEST_F(LivenessTest, EndsWithThePath) {
  kill(box(), request());
  EXPECT_EQ(examine(engine(), record()), Liveness::kDead);
}

TEST_F(LivenessTest, EndsWhenThePathLeadsToAnotherNamespace) {
  delete_host_end();
  const Box other;
  ipam::AttachmentRecord replaced = record();
  replaced.netns_path = other.path();
  EXPECT_EQ(examine(engine(), replaced), Liveness::kDead);
}

TEST_F(LivenessTest, EndsWhenThePathIsNoNamespaceAnyMore) {
  delete_host_end();
  const cni::test::TemporaryFolder folder;
  cni::test::write_file(folder / "left-behind", "");
  ipam::AttachmentRecord unmounted = record();
  unmounted.netns_path = folder / "left-behind";
  EXPECT_EQ(examine(engine(), unmounted), Liveness::kDead);
}

TEST_F(LivenessTest, IsUnknownWithoutProof) {
  delete_host_end();
  ipam::AttachmentRecord elsewhere = record();
  elsewhere.netns_path = "/nonexistent";
  elsewhere.mount_namespace = "1";
  EXPECT_EQ(examine(engine(), elsewhere), Liveness::kUnknown);
  ipam::AttachmentRecord without_path = record();
  without_path.netns_path.clear();
  EXPECT_EQ(examine(engine(), without_path), Liveness::kUnknown);
  ipam::AttachmentRecord without_cookie = record();
  without_cookie.netns_cookie = 0;
  EXPECT_EQ(examine(engine(), without_cookie), Liveness::kUnknown);
}

TEST_F(LivenessTest, IsNotProvenByALinkOfSomebodyElse) {
  kill(box(), request());
  output_of({"ip", "link", "add", record().host_ifname, "type", "veth", "peer", "name", "other0"});
  EXPECT_EQ(examine(engine(), record()), Liveness::kDead);
}

TEST(Unfinished, IsARecordWithAPartThatIsNotReady) {
  ipam::AttachmentRecord record;
  EXPECT_FALSE(is_unfinished(record));
  record.parts["bridge"] = ipam::State::kReady;
  EXPECT_FALSE(is_unfinished(record));
  record.parts["portmap"] = ipam::State::kAdding;
  EXPECT_TRUE(is_unfinished(record));
  record.parts["portmap"] = ipam::State::kDeleting;
  EXPECT_TRUE(is_unfinished(record));
}

}  // namespace
}  // namespace netctl::engine
