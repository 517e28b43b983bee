#pragma once
// An embedded transactional store for many short-lived processes: LMDB, with locks of our own (its lock file breaks across
// pid namespaces and at 126 readers), never fsync'd where a reboot ends all it describes.
//
// LMDB trusts its file blindly, so every page has a checksum in a file beside the store that is compared before LMDB looks.
//
// Two stores below the state directory (mode 0700/0600):
//   durable.mdb                         fsync'd: reservations, subnets chosen for networks
//   live-<boot id>-<netns cookie>.mdb   not fsync'd: attachments, leases, claims, networks. A new boot starts a new one
//                                       and removes those of other boots, so that leases cannot leak across a reboot.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file_lock.hpp"
#include "ipam/records.hpp"

struct MDB_env;
struct MDB_txn;

namespace netctl::ipam {

class PageGuard;

/// One transaction. Values are copied out; nothing points into the map after it ends.
class Transaction {
 public:
  /// `guard` checks the pages that are looked at; nullptr for a file that nobody else has seen yet.
  Transaction(MDB_txn* txn, unsigned dbi, bool writable, PageGuard* guard)
      : txn_(txn), dbi_(dbi), writable_(writable), guard_(guard) {}

  [[nodiscard]] std::optional<AttachmentRecord> find_attachment(const AttachmentKey& key) const;
  void put_attachment(const AttachmentRecord& record);
  void erase_attachment(const AttachmentKey& key);  ///< erasing nothing is success
  /// All, or those of one network.
  [[nodiscard]] std::vector<AttachmentRecord> list_attachments(
      const std::optional<std::string>& network = {}) const;
  /// Without reading them all: is there an attachment on this network?
  [[nodiscard]] bool has_attachments(const std::string& network) const;

  [[nodiscard]] std::optional<NetworkRecord> find_network(const std::string& name) const;
  void put_network(const NetworkRecord& record);
  void erase_network(const std::string& name);
  [[nodiscard]] std::vector<NetworkRecord> list_networks() const;

  // Raw access by key for the pool and port-claim code (pool.cpp, port_claims.cpp, reservations.cpp). Values carry a
  // version byte and a checksum; a record that fails it throws kStoreDamaged.
  [[nodiscard]] std::optional<std::string> get(const std::string& key) const;
  void put(const std::string& key, const std::string& value);
  void erase(const std::string& key);
  /// Calls `visit(key, value)` for keys >= `from` that start with `prefix`, in order, until it returns false.
  void scan(const std::string& prefix, const std::string& from,
            const std::function<bool(const std::string& key, const std::string& value)>& visit) const;
  /// The same without looking at the values, for walks over very many keys. `key` is valid during the call only.
  void scan_keys(const std::string& prefix, const std::string& from,
                 const std::function<bool(std::string_view key)>& visit) const;

 private:
  MDB_txn* txn_;
  unsigned dbi_;
  bool writable_;
  PageGuard* guard_;
};

enum class Durability { kUntilReboot, kForever };

class Store {
 public:
  /// $NETCTL_STATE_DIR or /var/lib/netctl.
  [[nodiscard]] static std::string default_directory();

  /// As the kernel names this boot.
  [[nodiscard]] static std::string current_boot_id();

  /// Opens (and creates) the live store of the host namespace with this cookie.
  /// Errors: kStoreDamaged (the file was put aside as <name>.damaged-<time>, the sentence says what that means);
  /// kIo (unsafe or unwritable directory, schema of a newer version).
  [[nodiscard]] static Store open_live(const std::string& directory, std::uint64_t host_netns_cookie,
                                       const std::string& boot_id = current_boot_id());
  [[nodiscard]] static Store open_durable(const std::string& directory);
  /// For read-only callers (ls, STATUS): nullopt when there is no store yet; creates nothing.
  [[nodiscard]] static std::optional<Store> open_live_if_present(
      const std::string& directory, std::uint64_t host_netns_cookie,
      const std::string& boot_id = current_boot_id());
  [[nodiscard]] static std::optional<Store> open_durable_if_present(const std::string& directory);

  Store(Store&&) noexcept;
  Store& operator=(Store&&) noexcept;
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;
  ~Store();

  /// Runs `body` in one write transaction: committed when it returns, aborted when it throws.
  /// Errors: what body throws; kTryAgainLater when the store lock stays taken; kIo (disk full, ...).
  void write(const std::function<void(Transaction&)>& body);
  void read(const std::function<void(const Transaction&)>& body) const;

  /// How long this store waits for a lock from now on, instead of kLockPatience.
  void set_patience(std::chrono::milliseconds patience);

  // Locks, in the order of base/file_lock.hpp. Bounded waits: kTryAgainLater.
  [[nodiscard]] HeldLock lock_attachment(const AttachmentKey& key) const;
  [[nodiscard]] HeldLock try_lock_attachment(const AttachmentKey& key) const;
  [[nodiscard]] HeldLock lock_network(const std::string& network, LockMode mode) const;
  [[nodiscard]] HeldLock try_lock_network(const std::string& network, LockMode mode) const;
  [[nodiscard]] HeldLock lock_table(LockMode mode) const;

  [[nodiscard]] const std::string& path() const;

  /// Called with a sentence when LMDB finds the file inconsistent in a way that it cannot return from; must not return.
  static void on_fatal(std::function<void(const std::string&)> handler);

 private:
  struct Impl;
  explicit Store(std::unique_ptr<Impl> impl);
  [[nodiscard]] static std::optional<Store> open_if_present(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// How long an operation waits for a lock before it gives up with kTryAgainLater.
inline constexpr std::chrono::milliseconds kLockPatience{30'000};

}  // namespace netctl::ipam
