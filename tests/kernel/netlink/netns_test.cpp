#include "netlink/netns.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>

#include "netlink/link.hpp"
#include "tests/support/netns_test.hpp"

namespace netctl::netlink {
namespace {

using ::testing::HasSubstr;

class NetnsPathTest : public testing::NetnsTest {
 protected:
  void SetUp() override {
    NetnsTest::SetUp();
    std::string name = (std::filesystem::temp_directory_path() / "netctl-test-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override {
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
    NetnsTest::TearDown();
  }
  [[nodiscard]] std::string path(const std::string& name) const { return (folder_ / name).string(); }

  /// Opening `path` has to fail with a sentence that holds `why`.
  static void expect_refused(const std::string& path, const std::string& why) {
    try {
      (void)Netns::open(path);
      ADD_FAILURE() << path << " was taken for a network namespace";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidNetns) << path;
      EXPECT_THAT(error.message(), HasSubstr("is not a network namespace: ")) << path;
      EXPECT_THAT(error.message(), HasSubstr(why)) << path;
    }
  }

 private:
  std::filesystem::path folder_;
};

TEST_F(NetnsPathTest, RefusesThePathThatIsNone) {
  expect_refused("", "the path is empty");
  expect_refused(std::string("/proc/self/ns/net\0.d", 20), "NUL");
}

TEST_F(NetnsPathTest, RefusesWhatIsNotThere) {
  expect_refused(path("nothing"), "there is no such file");
  expect_refused("/proc/4194305/ns/net", "there is no such file");
  std::filesystem::create_symlink(path("nothing"), path("dangling"));
  expect_refused(path("dangling"), "there is no such file");
}

TEST_F(NetnsPathTest, RefusesPathsThatLeadNowhere) {
  std::ofstream(path("file")) << "";
  expect_refused(path("file") + "/net", "not a directory");
  std::filesystem::create_symlink(path("loop"), path("loop"));
  expect_refused(path("loop"), "circle");
  expect_refused("/" + std::string(5000, 'x'), "too long");
  expect_refused("/" + std::string(300, 'x'), "too long");
}

TEST_F(NetnsPathTest, RefusesDirectories) { expect_refused(path(""), "it is a directory"); }

TEST_F(NetnsPathTest, RefusesFilesAndSaysThatTheMountIsGone) {
  std::ofstream(path("file")) << "";
  expect_refused(path("file"), "has been unmounted");
}

TEST_F(NetnsPathTest, RefusesAFifoWithoutWaitingForItsWriter) {
  ASSERT_EQ(::mkfifo(path("fifo").c_str(), 0600), 0);
  expect_refused(path("fifo"), "it is a FIFO");
}

TEST_F(NetnsPathTest, RefusesSockets) {
  const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path("socket").copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  expect_refused(path("socket"), "it is a socket");
}

TEST_F(NetnsPathTest, RefusesDevices) { expect_refused("/dev/null", "it is a character device"); }

TEST_F(NetnsPathTest, RefusesOtherFilesOfProc) {
  expect_refused("/proc/self/status", "it is an ordinary file");
}

TEST_F(NetnsPathTest, RefusesEveryOtherKindOfNamespace) {
  expect_refused("/proc/self/ns/mnt", "it is a mount namespace");
  expect_refused("/proc/self/ns/uts", "it is a UTS namespace");
  expect_refused("/proc/self/ns/ipc", "it is a IPC namespace");
  expect_refused("/proc/self/ns/pid", "it is a PID namespace");
  expect_refused("/proc/self/ns/user", "it is a user namespace");
  expect_refused("/proc/self/ns/cgroup", "it is a cgroup namespace");
  expect_refused("/proc/self/ns/time", "it is a time namespace");
}

class NetnsValueTest : public testing::NetnsTest {};

TEST_F(NetnsValueTest, OpensByPath) {
  const Netns opened = Netns::open("/proc/thread-self/ns/net");
  EXPECT_TRUE(opened.is_same_as(host()));
  EXPECT_TRUE(opened.is_same_as(Netns::current()));
  EXPECT_EQ(opened.cookie(), host().cookie());
}

TEST_F(NetnsValueTest, TellsNamespacesApart) {
  const Netns one = make_container();
  const Netns two = make_container();
  EXPECT_FALSE(one.is_same_as(two));
  EXPECT_FALSE(one.is_same_as(host()));
  EXPECT_NE(one.cookie(), two.cookie());
  EXPECT_NE(one.cookie(), host().cookie());
}

TEST_F(NetnsValueTest, GivesCookiesThatAreNeverUsedAgain) {
  std::vector<std::uint64_t> cookies;
  for (int i = 0; i < 5; ++i) cookies.push_back(make_container().cookie());
  std::sort(cookies.begin(), cookies.end());
  EXPECT_EQ(std::unique(cookies.begin(), cookies.end()), cookies.end());
}

TEST_F(NetnsValueTest, RunsInsideAndComesHome) {
  const Netns container = make_container();
  container.run([&container] { EXPECT_TRUE(Netns::current().is_same_as(container)); });
  EXPECT_TRUE(Netns::current().is_same_as(host()));
}

TEST_F(NetnsValueTest, ComesHomeWhenTheBodyThrows) {
  const Netns container = make_container();
  EXPECT_THROW(container.run([] { throw Error(ErrorCode::kIo, "on purpose"); }), Error);
  EXPECT_TRUE(Netns::current().is_same_as(host()));
}

TEST_F(NetnsValueTest, LeavesNoDescriptorBehind) {
  const auto open_descriptors = [] {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
    return count;
  };
  const std::size_t before = open_descriptors();
  for (int i = 0; i < 10; ++i) {
    const Netns container = make_container();
    (void)container.cookie();
    (void)testing::open_socket_in(container, Bus::kRoute).netns_cookie();
    EXPECT_THROW((void)Netns::open("/dev/null"), Error);
  }
  EXPECT_EQ(open_descriptors(), before);
}

}  // namespace
}  // namespace netctl::netlink
