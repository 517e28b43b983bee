#include "plugins/engine/sharing.hpp"

#include "plugins/engine/share.hpp"
#include "tests/kernel/engine/engine_fixture.hpp"

namespace netctl::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// The mounts themselves are tested with NetnsMount and from outside; here it is what the store says and what is refused.
class SharingTest : public EngineTest {
 protected:
  ShareRequest sharing(const Box& box, const std::string& target) {
    ShareRequest request;
    request.key = {"share", "crawler", "eth0"};
    request.part = kSharePart;
    request.netns_path = box.path();
    request.target = target;
    return request;
  }
  Error refusal_of(const ShareRequest& request) {
    return error_of([&] { (void)share(engine(), request); });
  }
  /// As if `sharer` had shared with the container of `owner`.
  void add_sharer(const AttachmentRequest& owner, const std::string& sharer, bool keep) {
    engine().live().write([&](ipam::Transaction& store) {
      const auto record = store.find_attachment(owner.key).value();
      const ipam::AttachmentKey key{"share", sharer, "eth0"};
      ipam::put_sharer(store, {owner.key, key, record.netns_cookie, keep});
    });
  }
  void drop_sharer(const AttachmentRequest& owner, const std::string& sharer) {
    engine().live().write([&](ipam::Transaction& store) {
      ipam::erase_sharer(store, owner.key, {"share", sharer, "eth0"});
    });
  }
};

TEST_F(SharingTest, RefusesANamespaceThatNoRuntimeHasBound) {
  const Box owner;
  const Box box;
  auto request = wanted("web", owner);
  request.container_name = "web";
  (void)add(request);
  const Error error = refusal_of(sharing(box, "web"));
  EXPECT_EQ(error.code(), ErrorCode::kInvalidNetns);
  EXPECT_THAT(error.message(), HasSubstr("cannot be moved"));
  EXPECT_THAT(error.message(), HasSubstr("--with-ns network:" + owner.path()));
  engine().live().read([&](const ipam::Transaction& store) {
    EXPECT_THAT(ipam::sharers_of(store, request.key), IsEmpty());
    EXPECT_EQ(store.find_attachment({"share", "crawler", "eth0"}), std::nullopt);
  });
}

TEST_F(SharingTest, KeepsAnOwnerThatLeavesFirstUntilTheLastSharerHasLeft) {
  const Box owner;
  const AttachmentRequest request = wanted("web", owner);
  (void)add(request);
  add_sharer(request, "one", true);
  add_sharer(request, "two", false);
  EXPECT_FALSE(detach_part(engine(), request.key, request.driver));
  EXPECT_FALSE(detach_part(engine(), request.key, request.driver)) << "a DEL that is repeated";
  EXPECT_TRUE(host_end(request));
  EXPECT_THAT(left_parts(record_of(request).value()), ElementsAre("bridge"));
  EXPECT_EQ(refusal_of(sharing(Box(), "web")).code(), ErrorCode::kInvalidNetns);
  drop_sharer(request, "one");
  EXPECT_EQ(collect_garbage(engine(), std::nullopt).attachments, 0U);
  EXPECT_TRUE(host_end(request)) << "another still shares with it";
  drop_sharer(request, "two");
  EXPECT_EQ(collect_garbage(engine(), std::nullopt).attachments, 1U);
  EXPECT_FALSE(record_of(request));
  EXPECT_FALSE(host_end(request));
}

TEST_F(SharingTest, ReleasesAnOwnerWhoseSharersDoNotMind) {
  const Box owner;
  const AttachmentRequest request = wanted("web", owner);
  (void)add(request);
  add_sharer(request, "one", false);
  EXPECT_TRUE(detach_part(engine(), request.key, request.driver));
  EXPECT_FALSE(record_of(request));
}

TEST_F(SharingTest, AttachesAnewAnOwnerThatWasKept) {
  const Box owner;
  const AttachmentRequest request = wanted("web", owner);
  (void)add(request);
  add_sharer(request, "one", true);
  EXPECT_FALSE(detach_part(engine(), request.key, request.driver));
  (void)add(request);
  EXPECT_THAT(left_parts(record_of(request).value()), IsEmpty());
  drop_sharer(request, "one");
  del(request);
  EXPECT_FALSE(record_of(request));
}

TEST_F(SharingTest, SharersOfAnEarlierContainerOfTheSameNameDoNotCount) {
  const AttachmentRequest request = wanted("web", Box());
  const Box again;
  engine().live().write([&](ipam::Transaction& store) {
    ipam::put_sharer(store, {request.key, {"share", "one", "eth0"}, again.netns().cookie() + 1, true});
  });
  const AttachmentRequest second = wanted("web", again);
  (void)add(second);
  del(second);
  EXPECT_FALSE(record_of(second));
}

}  // namespace
}  // namespace netctl::engine
