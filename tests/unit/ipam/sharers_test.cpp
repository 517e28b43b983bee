#include "ipam/sharers.hpp"

#include "tests/unit/ipam/support.hpp"

namespace netctl::ipam::testing {
namespace {

using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

TEST(Sharers, AreCountedByOwnerAndSharer) {
  TemporaryDirectory directory;
  Store store = Store::open_live(directory.state(), 1, "boot");
  const AttachmentKey web{"blue", "web", "eth0"};
  const AttachmentKey database{"blue", "db", "eth0"};
  const SharerRecord one{web, {"share", "one", "eth0"}, 41, true};
  const SharerRecord two{web, {"share", "two", "eth0"}, 41, false};
  const SharerRecord elsewhere{database, {"share", "one", "eth0"}, 42, true};
  store.write([&](Transaction& live) {
    for (const SharerRecord& each : {one, two, elsewhere, one}) put_sharer(live, each);
  });
  store.write([&](Transaction& live) {
    EXPECT_THAT(sharers_of(live, web), UnorderedElementsAre(one, two));
    EXPECT_THAT(sharers_of(live, database), UnorderedElementsAre(elsewhere));
    EXPECT_THAT(sharers_of(live, {"blue", "web", "eth1"}), IsEmpty());
    erase_sharer(live, web, one.sharer);
    erase_sharer(live, web, one.sharer);
    EXPECT_THAT(sharers_of(live, web), UnorderedElementsAre(two));
    EXPECT_THAT(sharers_of(live, database), UnorderedElementsAre(elsewhere));
  });
}

}  // namespace
}  // namespace netctl::ipam::testing
