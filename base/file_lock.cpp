#include "base/file_lock.hpp"

#include <fcntl.h>
#include <sys/time.h>

#include <algorithm>
#include <csignal>
#include <utility>

#include "base/error.hpp"

namespace netctl {
namespace {

struct flock byte_range(std::uint64_t offset, short type) {
  struct flock range {};
  range.l_type = type;
  range.l_whence = SEEK_SET;
  range.l_start = static_cast<off_t>(offset);
  range.l_len = 1;
  return range;
}

short lock_type(LockMode mode) { return mode == LockMode::kShared ? F_RDLCK : F_WRLCK; }

/// Makes blocking calls return EINTR once `patience` is over. The timer repeats, so that a signal which arrives just
/// before the call blocks is followed by another.
class Alarm {
 public:
  explicit Alarm(std::chrono::milliseconds patience) {
    struct sigaction interrupt {};
    interrupt.sa_handler = [](int) {};  // without SA_RESTART
    ::sigaction(SIGALRM, &interrupt, &old_action_);
    constexpr suseconds_t kRepeatMicroseconds = 10'000;
    const auto whole_seconds = std::chrono::duration_cast<std::chrono::seconds>(patience);
    const auto rest = std::chrono::duration_cast<std::chrono::microseconds>(patience - whole_seconds);
    itimerval timer{{0, kRepeatMicroseconds},
                    {whole_seconds.count(), static_cast<suseconds_t>(rest.count())}};
    ::setitimer(ITIMER_REAL, &timer, nullptr);
  }
  ~Alarm() {
    const itimerval off{};
    ::setitimer(ITIMER_REAL, &off, nullptr);
    ::sigaction(SIGALRM, &old_action_, nullptr);
  }
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;

 private:
  struct sigaction old_action_ {};
};

}  // namespace

LockFile::LockFile(std::string path) : path_(std::move(path)) {}

UniqueFd LockFile::open_description() const {
  UniqueFd fd(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) throw_errno("open the lock file " + path_, errno, ErrorCode::kIo);
  return fd;
}

HeldLock LockFile::try_lock(std::uint64_t offset, LockMode mode) const {
  UniqueFd fd = open_description();
  struct flock range = byte_range(offset, lock_type(mode));
  if (::fcntl(fd.get(), F_OFD_SETLK, &range) == 0) return HeldLock(std::move(fd));
  if (errno == EAGAIN || errno == EACCES) return HeldLock();
  throw_errno("lock a byte of " + path_, errno, ErrorCode::kIo);
}

HeldLock LockFile::lock(std::uint64_t offset, LockMode mode, std::chrono::milliseconds patience,
                        const std::string& what) const {
  if (HeldLock held = try_lock(offset, mode)) return held;
  const auto deadline = std::chrono::steady_clock::now() + patience;
  const Alarm alarm(std::max(patience, std::chrono::milliseconds(1)));  // a timer of zero never goes off
  UniqueFd fd = open_description();
  while (true) {
    struct flock range = byte_range(offset, lock_type(mode));
    if (::fcntl(fd.get(), F_OFD_SETLKW, &range) == 0) return HeldLock(std::move(fd));
    if (errno != EINTR) throw_errno("lock a byte of " + path_, errno, ErrorCode::kIo);
    if (std::chrono::steady_clock::now() >= deadline) {
      throw Error(ErrorCode::kTryAgainLater,
                  "another operation holds the lock of " + what +
                      " for too long; try again, and look for a hanging process if it stays");
    }
  }
}

}  // namespace netctl
