#include "netlink/sysctl.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>

#include <cstring>

#include <gmock/gmock.h>

#include "netlink/link.hpp"
#include "tests/support/netns_test.hpp"

namespace netctl::netlink {
namespace {

using testing::output_of;

class SysctlTest : public testing::NetnsTest {
 protected:
  void TearDown() override {
    if (mounts_before_) {
      EXPECT_EQ(::setns(mounts_before_.get(), CLONE_NEWNS), 0) << std::strerror(errno);
    }
    NetnsTest::TearDown();
  }

  /// Mounts made from here on are seen by this test only.
  void keep_mounts_private() {
    mounts_before_ = UniqueFd(::open("/proc/thread-self/ns/mnt", O_RDONLY | O_CLOEXEC));
    ASSERT_EQ(::unshare(CLONE_NEWNS), 0) << std::strerror(errno);
    ASSERT_EQ(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0) << std::strerror(errno);
  }

 private:
  UniqueFd mounts_before_;
};

TEST_F(SysctlTest, IsReadAndWritten) {
  const auto before = read_sysctl("ipv4/ip_forward");
  ASSERT_TRUE(before);
  const std::string other = *before == "0" ? "1" : "0";
  EXPECT_EQ(write_sysctl("ipv4/ip_forward", other), before);
  EXPECT_EQ(read_sysctl("ipv4/ip_forward"), other);
  EXPECT_EQ(output_of({"cat", "/proc/sys/net/ipv4/ip_forward"}), other + "\n");
  EXPECT_EQ(write_sysctl("ipv4/ip_forward", other), other) << "the same value again";
}

TEST_F(SysctlTest, IsWrittenWithOthersAtOnce) {
  write_sysctls({{"ipv4/ip_forward", "1"}, {"ipv4/nosuchkey", "1"}, {"ipv4/ip_default_ttl", "63"}});
  EXPECT_EQ(read_sysctl("ipv4/ip_forward"), "1");
  EXPECT_EQ(read_sysctl("ipv4/ip_default_ttl"), "63");
  write_sysctls({});
}

TEST_F(SysctlTest, BelongsToTheNamespaceOfTheThread) {
  const Netns container = make_container();
  write_sysctl("ipv4/ip_forward", "1");
  container.run([] { write_sysctl("ipv4/ip_forward", "0"); });
  EXPECT_EQ(read_sysctl("ipv4/ip_forward"), "1");
  container.run([] { EXPECT_EQ(read_sysctl("ipv4/ip_forward"), "0"); });
}

TEST_F(SysctlTest, OfALinkWhoseNameHoldsDotsIsFound) {
  BridgeSpec bridge;
  bridge.name = "br.0.1";
  bridge.mac = *MacAddress::parse("02:00:00:00:00:0a");
  route().transact(create_bridge(bridge));
  EXPECT_EQ(write_sysctl("ipv4/conf/br.0.1/arp_notify", "1"), "0");
  EXPECT_EQ(read_sysctl("ipv4/conf/br.0.1/arp_notify"), "1");
}

TEST_F(SysctlTest, ThatDoesNotExistIsNoError) {
  EXPECT_EQ(read_sysctl("ipv4/conf/nosuchlink/arp_notify"), std::nullopt);
  EXPECT_EQ(read_sysctl("ipv4/ip_forward/below"), std::nullopt);
  EXPECT_EQ(write_sysctl("ipv4/nosuchkey", "1"), std::nullopt);
}

TEST_F(SysctlTest, NeverLeavesItsFolder) {
  for (const char* path :
       {"/proc/sys/net/ipv4/ip_forward", "../kernel/hostname", "ipv4/../../kernel/hostname"}) {
    EXPECT_THROW((void)read_sysctl(path), Error) << path;
    EXPECT_THROW(write_sysctl(path, "1"), Error) << path;
  }
}

TEST_F(SysctlTest, RefusesWhatTheKernelRefuses) {
  try {
    write_sysctl("ipv4/ip_default_ttl", "many");
    FAIL() << "the kernel took a word for a number";
  } catch (const Error& error) {
    EXPECT_EQ(error.sys_errno(), EINVAL);
    EXPECT_THAT(error.message(),
                ::testing::HasSubstr("could not set the sysctl net/ipv4/ip_default_ttl to \"many\""));
  }
  EXPECT_THROW((void)read_sysctl("ipv4"), Error) << "a directory";
}

TEST_F(SysctlTest, RefusesAProcThatIsNotTheKernels) {
  keep_mounts_private();
  ASSERT_EQ(::mount("none", "/proc/sys/net", "tmpfs", 0, nullptr), 0) << std::strerror(errno);
  EXPECT_THROW((void)read_sysctl("ipv4/ip_forward"), Error);
}

TEST_F(SysctlTest, RefusesAKeyThatSomethingIsMountedOver) {
  keep_mounts_private();
  ASSERT_EQ(::mount("/dev/null", "/proc/sys/net/ipv4/ip_forward", nullptr, MS_BIND, nullptr), 0)
      << std::strerror(errno);
  EXPECT_THROW((void)read_sysctl("ipv4/ip_forward"), Error);
  EXPECT_THROW(write_sysctl("ipv4/ip_forward", "1"), Error);
}

TEST_F(SysctlTest, NeedsNoRightToWriteWhatIsThereAlready) {
  write_sysctl("ipv4/ip_forward", "1");
  keep_mounts_private();
  ASSERT_EQ(::mount("/proc/sys", "/proc/sys", nullptr, MS_BIND, nullptr), 0) << std::strerror(errno);
  ASSERT_EQ(::mount("none", "/proc/sys", nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr), 0)
      << std::strerror(errno);
  EXPECT_EQ(write_sysctl("ipv4/ip_forward", "1"), "1");
  try {
    write_sysctl("ipv4/ip_forward", "0");
    FAIL() << "/proc/sys is read-only";
  } catch (const Error& error) {
    EXPECT_EQ(error.sys_errno(), EROFS);
  }
}

}  // namespace
}  // namespace netctl::netlink
