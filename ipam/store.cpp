#include "ipam/store.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include <lmdb.h>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/private_directory.hpp"
#include "ipam/codec.hpp"
#include "ipam/damage_internal.hpp"
#include "ipam/keys_internal.hpp"
#include "ipam/lmdb_internal.hpp"
#include "ipam/page_guard_internal.hpp"
#include "ipam/store_file_internal.hpp"

namespace netctl::ipam {
namespace {

// Bytes of the lock file; the ranges do not overlap.
constexpr std::uint64_t kStoreByte = 0;
constexpr std::uint64_t kTableByte = 1;
constexpr std::uint64_t kNetworkBytes = std::uint64_t{1} << 32;     // and 2^32 from there
constexpr std::uint64_t kAttachmentBytes = std::uint64_t{1} << 40;  // and 2^60 from there

constexpr std::size_t kMapSize = std::size_t{1} << 30;
constexpr mode_t kFileMode = 0600;
constexpr const char* kSumsSuffix = ".sums";

struct CloseEnvironment {
  void operator()(MDB_env* env) const { ::mdb_env_close(env); }
};
using Environment = std::unique_ptr<MDB_env, CloseEnvironment>;

int descriptor_of(MDB_env* env) {
  int fd = -1;
  check_lmdb(::mdb_env_get_fd(env, &fd), "be prepared");
  return fd;
}

/// A transaction that is aborted unless it was committed.
class LmdbTransaction {
 public:
  LmdbTransaction(MDB_env* env, bool writable) {
    check_lmdb(::mdb_txn_begin(env, nullptr, writable ? 0 : MDB_RDONLY, &txn_), "begin a transaction");
    const int result = ::mdb_dbi_open(txn_, nullptr, 0, &dbi_);
    if (result == MDB_SUCCESS) return;
    ::mdb_txn_abort(txn_);
    check_lmdb(result, "open its table");
  }
  LmdbTransaction(const LmdbTransaction&) = delete;
  LmdbTransaction& operator=(const LmdbTransaction&) = delete;
  ~LmdbTransaction() {
    if (txn_ != nullptr) ::mdb_txn_abort(txn_);
  }
  void commit() { check_lmdb(::mdb_txn_commit(std::exchange(txn_, nullptr)), "commit a transaction"); }
  [[nodiscard]] Transaction records(bool writable, PageGuard* guard) const {
    return {txn_, dbi_, writable, guard};
  }

 private:
  MDB_txn* txn_ = nullptr;
  MDB_dbi dbi_ = 0;
};

std::function<void(const std::string&)>& fatal_handler() {
  static std::function<void(const std::string&)> handler;
  return handler;
}

std::string sentence_of_damage(const std::string& path, const std::string& aside) {
  return "the state store " + path + " was damaged and has been put aside as " + aside +
         "; running containers keep working, run `netctl gc` to clean up behind them as they end";
}

void require_known_schema(const std::string& path, const Transaction& records) {
  const std::optional<std::string> schema = records.get(schema_key());
  if (!schema) throw Damage("the schema number is missing");
  if (ByteReader(*schema).number<std::uint32_t>() > kSchema) {
    throw Error(ErrorCode::kIo,
                "the state store " + path + " was written by a newer netctl; install that version again");
  }
}

}  // namespace

struct Store::Impl {
  std::string directory;
  std::string path;
  std::string boot_id;  // empty: durable
  LockFile locks;
  Environment env;
  std::unique_ptr<PageGuard> guard;  // goes together with env
  StoreFile file;
  std::chrono::milliseconds patience = kLockPatience;

  Impl(std::string where, const std::string& name, std::string boot)
      : directory(std::move(where)),
        path(directory + "/" + name),
        boot_id(std::move(boot)),
        locks(path + ".lock") {}

  [[nodiscard]] bool is_durable() const { return boot_id.empty(); }
  [[nodiscard]] HeldLock lock_store(LockMode mode) const {
    return locks.lock(kStoreByte, mode, patience, "the state store");
  }

  /// False when there is no file.
  bool open_existing();
  void create();
  void open_or_create();
  [[nodiscard]] Environment map_file(const std::string& name);
  [[nodiscard]] bool is_current() const;
  void run(LockMode mode, const std::function<void(Transaction&)>& body);
  void transact(bool writable, const std::function<void(Transaction&)>& body);
  template <class Action>
  void putting_damage_aside(Action action);
  [[noreturn]] static void on_assertion(MDB_env* env, const char* message);
};

Environment Store::Impl::map_file(const std::string& name) {
  MDB_env* raw = nullptr;
  check_lmdb(::mdb_env_create(&raw), "be prepared");
  Environment mapped(raw);
  check_lmdb(::mdb_env_set_mapsize(raw, kMapSize), "set its size");
  check_lmdb(::mdb_env_set_userctx(raw, this), "be prepared");
  check_lmdb(::mdb_env_set_assert(raw, &Impl::on_assertion), "be prepared");
  // A live store is gone after a reboot, so nothing has to reach the disk; the page cache outlives every process.
  const unsigned speed = is_durable() ? 0U : unsigned{MDB_NOSYNC | MDB_NOMETASYNC};
  check_lmdb(
      ::mdb_env_open(raw, name.c_str(), unsigned{MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOTLS} | speed, kFileMode),
      "be opened");
  const int fd = descriptor_of(raw);
  // LMDB 0.9 opens it without O_CLOEXEC.
  if (::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
    throw_errno("mark " + name + " close-on-exec", errno, ErrorCode::kIo);
  return mapped;
}

/// Runs with the file renamed already or not at all: LMDB calls this in the middle of anything and then aborts.
void Store::Impl::on_assertion(MDB_env* env, const char* message) {
  const auto* self = static_cast<const Impl*>(::mdb_env_get_userctx(env));
  std::string sentence = std::string("the state store is inconsistent: ") + message;
  try {
    sentence = sentence_of_damage(self->path, put_aside(self->path, self->file.inode));
  } catch (const std::exception& failure) {
    sentence += std::string("; ") + failure.what();
  }
  if (fatal_handler()) fatal_handler()(sentence);
  std::fprintf(stderr, "%s\n", sentence.c_str());
  ::_exit(EXIT_FAILURE);
}

template <class Action>
void Store::Impl::putting_damage_aside(Action action) {
  try {
    action();
  } catch (const Damage& damage) {
    env.reset();
    const HeldLock lock = lock_store(LockMode::kExclusive);
    const std::string aside = put_aside(path, file.inode);
    throw Error(ErrorCode::kStoreDamaged, sentence_of_damage(path, aside), damage.details());
  }
}

bool Store::Impl::open_existing() {
  bool found = false;
  putting_damage_aside([&] {
    const HeldLock lock = lock_store(LockMode::kShared);
    if (!check_store_file(path, file)) return;
    env = map_file(path);
    guard = std::make_unique<PageGuard>(descriptor_of(env.get()), file.page_size, path + kSumsSuffix,
                                        is_durable() ? current_boot_id() : boot_id);
    guard->begin(false);
    const LmdbTransaction reading(env.get(), false);
    require_known_schema(path, reading.records(false, guard.get()));
    found = true;
  });
  return found;
}

/// Written under another name and renamed, so that nobody ever sees half a store.
void Store::Impl::create() {
  const HeldLock lock = lock_store(LockMode::kExclusive);
  if (::access(path.c_str(), F_OK) == 0) return;
  if (!is_durable()) remove_stores_of_other_boots(directory, boot_id);
  const std::string unfinished = path + ".new";
  ::unlink(unfinished.c_str());
  ::unlink((path + kSumsSuffix).c_str());
  {
    const Environment fresh = map_file(unfinished);
    LmdbTransaction writing(fresh.get(), true);
    writing.records(true, nullptr).put(schema_key(), ByteWriter().number(std::uint32_t{kSchema}).take());
    writing.commit();
  }
  if (::rename(unfinished.c_str(), path.c_str()) != 0) throw_errno("make " + path, errno, ErrorCode::kIo);
  if (is_durable()) sync_directory(directory);
}

void Store::Impl::open_or_create() {
  make_private_directory(directory, "the state directory");
  // A second round is needed after creating; more only if somebody keeps removing the file.
  constexpr int kRounds = 3;
  for (int round = 0; round < kRounds; ++round) {
    if (open_existing()) return;
    create();
  }
  throw Error(ErrorCode::kIo, "the state store " + path + " vanishes as soon as it is made");
}

/// False when another process put our file aside or somebody removed it.
bool Store::Impl::is_current() const {
  struct stat status {};
  if (!env || ::stat(path.c_str(), &status) != 0 || status.st_ino != file.inode) return false;
  const std::size_t pages = static_cast<std::size_t>(status.st_size) / file.page_size;
  constexpr std::size_t kHeaders = 2;
  if (pages < kHeaders) throw Damage("the file is cut off");
  MDB_envinfo info{};
  ::mdb_env_info(env.get(), &info);
  if (pages <= info.me_last_pgno) throw Damage("the file is cut off");
  return true;
}

void Store::Impl::run(LockMode mode, const std::function<void(Transaction&)>& body) {
  const bool writable = mode == LockMode::kExclusive;
  putting_damage_aside([&] {
    HeldLock lock = lock_store(mode);
    while (!is_current()) {
      lock.release();
      env.reset();
      open_or_create();
      lock = lock_store(mode);
    }
    transact(writable, body);
  });
}

void Store::Impl::transact(bool writable, const std::function<void(Transaction&)>& body) {
  bool committing = false;
  try {
    guard->begin(writable);
    LmdbTransaction transaction(env.get(), writable);
    Transaction records = transaction.records(writable, guard.get());
    body(records);
    if (!writable) return;
    committing = true;
    guard->before_commit();
    transaction.commit();
    guard->after_commit();
  } catch (...) {
    // After a failed write LMDB refuses everything until the file is opened anew; what undoes this operation needs it.
    if (committing) env.reset();
    throw;
  }
}

Store::Store(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Store::Store(Store&&) noexcept = default;
Store& Store::operator=(Store&&) noexcept = default;
Store::~Store() = default;

std::string Store::default_directory() {
  const char* directory = std::getenv("NETCTL_STATE_DIR");
  return directory != nullptr && *directory != '\0' ? directory : "/var/lib/netctl";
}

std::string Store::current_boot_id() {
  const char* path = "/proc/sys/kernel/random/boot_id";
  const UniqueFd fd(::open(path, O_RDONLY | O_CLOEXEC));
  std::array<char, 36> text{};
  if (!fd || ::read(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    throw_errno(std::string("read ") + path, errno, ErrorCode::kIo);
  }
  return {text.data(), text.size()};
}

namespace {

std::string live_name(const std::string& boot_id, std::uint64_t host_netns_cookie) {
  return "live-" + boot_id + "-" + std::to_string(host_netns_cookie) + ".mdb";
}
constexpr const char* kDurableName = "durable.mdb";

}  // namespace

Store Store::open_live(const std::string& directory, std::uint64_t host_netns_cookie,
                       const std::string& boot_id) {
  auto impl = std::make_unique<Impl>(directory, live_name(boot_id, host_netns_cookie), boot_id);
  impl->open_or_create();
  return Store(std::move(impl));
}

Store Store::open_durable(const std::string& directory) {
  auto impl = std::make_unique<Impl>(directory, kDurableName, "");
  impl->open_or_create();
  return Store(std::move(impl));
}

std::optional<Store> Store::open_live_if_present(const std::string& directory,
                                                 std::uint64_t host_netns_cookie,
                                                 const std::string& boot_id) {
  auto impl = std::make_unique<Impl>(directory, live_name(boot_id, host_netns_cookie), boot_id);
  return open_if_present(std::move(impl));
}

std::optional<Store> Store::open_durable_if_present(const std::string& directory) {
  return open_if_present(std::make_unique<Impl>(directory, kDurableName, ""));
}

std::optional<Store> Store::open_if_present(std::unique_ptr<Impl> impl) {
  if (!is_private_directory(impl->directory, "the state directory") ||
      ::access(impl->path.c_str(), F_OK) != 0)
    return std::nullopt;
  if (!impl->open_existing()) return std::nullopt;
  return Store(std::move(impl));
}

void Store::write(const std::function<void(Transaction&)>& body) { impl_->run(LockMode::kExclusive, body); }

void Store::read(const std::function<void(const Transaction&)>& body) const {
  impl_->run(LockMode::kShared, [&](Transaction& transaction) { body(transaction); });
}

namespace {

std::uint64_t attachment_byte(const AttachmentKey& key) {
  constexpr std::uint64_t kMask = (std::uint64_t{1} << 60) - 1;
  return kAttachmentBytes + (hash_parts({key.network, key.container_id, key.ifname}).high() & kMask);
}

std::uint64_t network_byte(const std::string& network) {
  constexpr std::uint64_t kMask = (std::uint64_t{1} << 32) - 1;
  return kNetworkBytes + (hash_parts({network}).high() & kMask);
}

}  // namespace

HeldLock Store::lock_attachment(const AttachmentKey& key) const {
  return impl_->locks.lock(
      attachment_byte(key), LockMode::kExclusive, impl_->patience,
      "container " + key.container_id + " (interface " + key.ifname + ") on network " + key.network);
}

HeldLock Store::try_lock_attachment(const AttachmentKey& key) const {
  return impl_->locks.try_lock(attachment_byte(key), LockMode::kExclusive);
}

HeldLock Store::lock_network(const std::string& network, LockMode mode) const {
  return impl_->locks.lock(network_byte(network), mode, impl_->patience, "network " + network);
}

HeldLock Store::try_lock_network(const std::string& network, LockMode mode) const {
  return impl_->locks.try_lock(network_byte(network), mode);
}

HeldLock Store::lock_table(LockMode mode) const {
  return impl_->locks.lock(kTableByte, mode, impl_->patience, "the packet rules");
}

void Store::set_patience(std::chrono::milliseconds patience) { impl_->patience = patience; }

const std::string& Store::path() const { return impl_->path; }

void Store::on_fatal(std::function<void(const std::string&)> handler) {
  fatal_handler() = std::move(handler);
}

}  // namespace netctl::ipam
