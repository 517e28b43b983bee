#include "netlink/netns_mount.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "base/error.hpp"
#include "tests/support/netns_test.hpp"

namespace netctl::netlink {
namespace {

/// A folder of its own in a private mount namespace, which ends with the process.
class NetnsMountTest : public testing::NetnsTest {
 protected:
  void SetUp() override {
    NetnsTest::SetUp();
    ASSERT_EQ(::unshare(CLONE_NEWNS), 0);
    ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    ASSERT_EQ(::mount("test", "/mnt", "tmpfs", 0, "mode=700"), 0);
    std::ofstream(kPath) << "";
  }
  void TearDown() override {
    ::umount2("/mnt", MNT_DETACH);
    NetnsTest::TearDown();
  }
  static NetnsMount place(const std::string& path = kPath) { return NetnsMount::find(path).value(); }

  static constexpr const char* kPath = "/mnt/netns";
};

TEST_F(NetnsMountTest, BindsWhatItWasGivenAndTakesItAway) {
  const Netns netns = make_container();
  EXPECT_FALSE(place().is_mounted());
  EXPECT_EQ(place().cookie(), std::nullopt);
  place().bind(netns);
  EXPECT_TRUE(place().is_mounted());
  EXPECT_EQ(place().cookie(), netns.cookie());
  EXPECT_TRUE(Netns::open(kPath).is_same_as(netns));
  place().unmount();
  EXPECT_FALSE(place().is_mounted());
  place().unmount();  // idempotent
  std::filesystem::remove(kPath);
  EXPECT_EQ(NetnsMount::find(kPath), std::nullopt);
}

TEST_F(NetnsMountTest, ReplacesWithoutStackingWhileTheMountIsInUse) {
  const Netns own = make_container();
  const Netns other = make_container();
  place().bind(own);
  const UniqueFd in_use(::open(kPath, O_RDONLY | O_CLOEXEC));
  place().replace(other, own);
  EXPECT_EQ(place().cookie(), other.cookie());
  EXPECT_EQ(::umount2(kPath, 0), 0);
  EXPECT_FALSE(place().is_mounted()) << "one umount, as the runtime does it, has to be enough";
  EXPECT_TRUE(std::filesystem::remove(kPath));
}

TEST_F(NetnsMountTest, PutsBackWhatWasThereWhereSomethingElseIsStackedBelow) {
  const Netns below = make_container();
  const Netns own = make_container();
  place().bind(below);
  ASSERT_EQ(::mount(("/proc/self/fd/" + std::to_string(own.fd())).c_str(), kPath, nullptr, MS_BIND, nullptr),
            0);
  try {
    place().replace(make_container(), own);
    FAIL() << "a stack of mounts was taken for one";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidNetns);
    EXPECT_NE(error.message().find("stacked"), std::string::npos) << error.message();
  }
  EXPECT_EQ(place().cookie(), own.cookie());
  place().unmount();
  EXPECT_EQ(place().cookie(), below.cookie());
}

TEST_F(NetnsMountTest, FollowsLinksToTheFileAndNoFurther) {
  const Netns own = make_container();
  const Netns other = make_container();
  place().bind(own);
  std::filesystem::create_symlink(kPath, "/mnt/link");
  place("/mnt/link").replace(other, own);
  EXPECT_EQ(place().cookie(), other.cookie());
  // Whoever exchanges the file for a link after it was looked at gains nothing.
  const NetnsMount found = place();
  found.unmount();
  std::filesystem::remove(kPath);
  std::ofstream("/mnt/victim") << "";
  std::filesystem::create_symlink("/mnt/victim", kPath);
  EXPECT_THROW(found.bind(other), Error);
  EXPECT_FALSE(place("/mnt/victim").is_mounted());
}

TEST_F(NetnsMountTest, IsNoPlaceWhereNoFileIs) {
  EXPECT_EQ(NetnsMount::find("/proc/self/ns/net"), std::nullopt);
  EXPECT_EQ(NetnsMount::find("/mnt/missing"), std::nullopt);
  EXPECT_EQ(NetnsMount::find("/mnt/netns/below"), std::nullopt);
  ASSERT_EQ(::mkfifo("/mnt/fifo", 0600), 0);
  EXPECT_EQ(place("/mnt/fifo").cookie(), std::nullopt);
  EXPECT_THROW(place("/mnt/fifo").bind(make_container()), Error);
  std::filesystem::create_symlink("/mnt/circle", "/mnt/circle");
  EXPECT_THROW((void)NetnsMount::find("/mnt/circle"), Error);
}

}  // namespace
}  // namespace netctl::netlink
