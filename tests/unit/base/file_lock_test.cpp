#include "base/file_lock.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>

#include <array>
#include <csignal>
#include <filesystem>
#include <functional>
#include <thread>

#include <gmock/gmock.h>

#include "base/error.hpp"

namespace netctl {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

class FileLockTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "netctl-test-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  [[nodiscard]] std::string path() const { return (folder_ / "lock").string(); }

  std::filesystem::path folder_;
};

/// Another process that holds the byte until it is told to go, or killed.
class Holder {
 public:
  Holder(const std::string& path, std::uint64_t offset, LockMode mode) {
    std::array<int, 2> ready{};
    EXPECT_EQ(::pipe2(ready.data(), O_CLOEXEC), 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      const LockFile file(path);
      const HeldLock held = file.try_lock(offset, mode);
      const char answer = held ? 'y' : 'n';
      (void)!::write(ready[1], &answer, 1);
      while (true) ::pause();
    }
    char answer = 'n';
    EXPECT_EQ(::read(ready[0], &answer, 1), 1);
    EXPECT_EQ(answer, 'y') << "the other process did not get the lock";
    ::close(ready[0]);
    ::close(ready[1]);
  }
  ~Holder() { kill(); }
  Holder(const Holder&) = delete;
  Holder& operator=(const Holder&) = delete;
  void kill() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    pid_ = -1;
  }

 private:
  pid_t pid_ = -1;
};

TEST_F(FileLockTest, MakesItsFilePrivate) {
  const LockFile file(path());
  const HeldLock held = file.try_lock(0, LockMode::kExclusive);
  EXPECT_TRUE(held);
  struct stat status {};
  ASSERT_EQ(::stat(path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST_F(FileLockTest, ExcludesOthersFromTheSameByteOnly) {
  const LockFile file(path());
  const HeldLock held = file.try_lock(5, LockMode::kExclusive);
  ASSERT_TRUE(held);
  EXPECT_FALSE(file.try_lock(5, LockMode::kExclusive));
  EXPECT_FALSE(file.try_lock(5, LockMode::kShared));
  EXPECT_TRUE(file.try_lock(4, LockMode::kExclusive));
  EXPECT_TRUE(file.try_lock(6, LockMode::kExclusive));
  EXPECT_TRUE(file.try_lock((std::uint64_t{1} << 62) - 1, LockMode::kExclusive));
}

TEST_F(FileLockTest, IsSharedByReaders) {
  const LockFile file(path());
  const HeldLock one = file.try_lock(5, LockMode::kShared);
  const HeldLock two = file.try_lock(5, LockMode::kShared);
  EXPECT_TRUE(one);
  EXPECT_TRUE(two);
  EXPECT_FALSE(file.try_lock(5, LockMode::kExclusive));
}

TEST_F(FileLockTest, IsFreeAfterRelease) {
  const LockFile file(path());
  HeldLock held = file.try_lock(5, LockMode::kExclusive);
  held.release();
  EXPECT_FALSE(held);
  EXPECT_TRUE(file.try_lock(5, LockMode::kExclusive));
}

TEST_F(FileLockTest, CanBeMoved) {
  const LockFile file(path());
  HeldLock outer;
  {
    HeldLock inner = file.try_lock(5, LockMode::kExclusive);
    outer = std::move(inner);
  }
  EXPECT_TRUE(outer);
  EXPECT_FALSE(file.try_lock(5, LockMode::kExclusive));
}

TEST_F(FileLockTest, WorksBetweenProcessesAndEndsWithThem) {
  Holder other(path(), 5, LockMode::kExclusive);
  const LockFile file(path());
  EXPECT_FALSE(file.try_lock(5, LockMode::kShared));
  other.kill();
  EXPECT_TRUE(file.try_lock(5, LockMode::kShared));
}

TEST_F(FileLockTest, GivesUpWhenPatienceEnds) {
  const Holder other(path(), 5, LockMode::kExclusive);
  const LockFile file(path());
  for (const milliseconds patience : {milliseconds(0), milliseconds(50)}) {
    const auto start = steady_clock::now();
    try {
      (void)file.lock(5, LockMode::kExclusive, patience, "network red");
      FAIL() << "two processes hold the same lock";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kTryAgainLater);
      EXPECT_THAT(error.message(), ::testing::HasSubstr("network red"));
    }
    EXPECT_GE(steady_clock::now() - start, patience);
    EXPECT_LT(steady_clock::now() - start, patience + std::chrono::seconds(5));
  }
}

TEST_F(FileLockTest, WaitsForTheOtherToFinish) {
  Holder other(path(), 5, LockMode::kExclusive);
  std::thread end([&other] {
    std::this_thread::sleep_for(milliseconds(100));
    other.kill();
  });
  const LockFile file(path());
  EXPECT_TRUE(file.lock(5, LockMode::kExclusive, std::chrono::seconds(20), "network red"));
  end.join();
}

TEST_F(FileLockTest, LeavesSignalsAsTheyWere) {
  const Holder other(path(), 5, LockMode::kExclusive);
  const LockFile file(path());
  EXPECT_THROW((void)file.lock(5, LockMode::kExclusive, milliseconds(20), "network red"), Error);
  struct sigaction now {};
  ASSERT_EQ(::sigaction(SIGALRM, nullptr, &now), 0);
  EXPECT_EQ(now.sa_handler, SIG_DFL);
  itimerval timer{};
  ASSERT_EQ(::getitimer(ITIMER_REAL, &timer), 0);
  EXPECT_EQ(timer.it_value.tv_sec + timer.it_value.tv_usec, 0);
}

TEST_F(FileLockTest, SaysWhyAFileCannotBeOpened) {
  const LockFile file((folder_ / "missing" / "lock").string());
  try {
    (void)file.try_lock(0, LockMode::kShared);
    FAIL() << "a lock in a folder that does not exist";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kIo);
    EXPECT_EQ(error.sys_errno(), ENOENT);
  }
}

TEST_F(FileLockTest, DoesNotFollowALink) {
  std::filesystem::create_symlink(folder_ / "elsewhere", path());
  EXPECT_THROW((void)LockFile(path()).try_lock(0, LockMode::kShared), Error);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "elsewhere"));
}

}  // namespace
}  // namespace netctl
