// Every read and write of a store fails in turn, once: what was asked for is refused or done, the store is never taken for
// damaged, and the next call finds all that was there.
// An executable of its own, because it stands between LMDB and the kernel.

#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>

#include "tests/unit/ipam/support.hpp"

namespace {

int calls_until_failure = -1;  // negative: none fails
int failure = 0;

/// True for the one call that is to fail.
bool is_to_fail() {
  if (calls_until_failure < 0 || calls_until_failure-- > 0) return false;
  errno = failure;
  return true;
}

}  // namespace

extern "C" {

// Our own code calls pread64 by that name (64-bit offsets), LMDB pread: one system call.
ssize_t plain_pread(int fd, void* to, size_t size, off_t offset) __asm__("pread");
ssize_t plain_pwrite(int fd, const void* from, size_t size, off_t offset) __asm__("pwrite");

ssize_t pread(int fd, void* to, size_t size, off_t offset) {
  return is_to_fail() ? -1 : ::syscall(SYS_pread64, fd, to, size, offset);
}
ssize_t pwrite(int fd, const void* from, size_t size, off_t offset) {
  return is_to_fail() ? -1 : ::syscall(SYS_pwrite64, fd, from, size, offset);
}
ssize_t writev(int fd, const iovec* parts, int count) {
  return is_to_fail() ? -1 : ::syscall(SYS_writev, fd, parts, count);
}
ssize_t plain_pread(int fd, void* to, size_t size, off_t offset) { return pread(fd, to, size, offset); }
ssize_t plain_pwrite(int fd, const void* from, size_t size, off_t offset) {
  return pwrite(fd, from, size, offset);
}
}

namespace netctl::ipam::testing {
namespace {

class FailingFile : public ::testing::TestWithParam<int> {
 protected:
  void TearDown() override { calls_until_failure = -1; }

  /// One process that opens the store and puts a record into it; false when it was refused.
  bool put(const std::string& id) {
    try {
      Store store = Store::open_live(directory_.state(), kCookie, kBoot);
      store.write([&](Transaction& transaction) { transaction.put_attachment(full_attachment(id)); });
      return true;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kIo) << error.message() << ": " << error.details();
      return false;
    }
  }

  std::vector<std::string> found() {
    std::vector<std::string> ids;
    Store::open_live(directory_.state(), kCookie, kBoot).read([&](const Transaction& transaction) {
      for (const AttachmentRecord& record : transaction.list_attachments())
        ids.push_back(record.key.container_id);
    });
    return ids;
  }

  TemporaryDirectory directory_;
};

TEST_P(FailingFile, LosesAndForgetsNothing) {
  int refused = 0;
  bool reached_the_end = false;
  for (int number = 0; !reached_the_end; ++number) {
    ASSERT_LT(number, 1000) << "there is no end of reads and writes";
    std::vector<std::string> expected;
    if (number % 3 != 0 && put("first"))
      expected.emplace_back("first");  // otherwise on a store that is not there yet
    failure = GetParam();
    calls_until_failure = number;
    const bool done = put("second");
    reached_the_end = std::exchange(calls_until_failure, -1) >= 0;
    if (done) expected.emplace_back("second");
    if (!done) ++refused;
    const std::vector<std::string> ids = found();
    // Whoever is refused after the commit itself has its record, and takes it back.
    EXPECT_THAT(ids, ::testing::IsSupersetOf(expected)) << "call " << number;
    EXPECT_TRUE(!done || ids.size() == expected.size()) << "call " << number;
    EXPECT_TRUE(put("third")) << "call " << number;
    EXPECT_THAT(directory_.files(), ::testing::Each(::testing::Not(::testing::HasSubstr("damaged"))))
        << "call " << number;
    std::filesystem::remove_all(directory_.state());
  }
  EXPECT_GT(refused, 2) << "hardly anything failed";
}

INSTANTIATE_TEST_SUITE_P(Errors, FailingFile, ::testing::Values(EIO, ENOSPC, EINTR));

}  // namespace
}  // namespace netctl::ipam::testing
