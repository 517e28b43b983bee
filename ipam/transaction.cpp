#include <lmdb.h>

#include "base/error.hpp"
#include "ipam/codec.hpp"
#include "ipam/keys_internal.hpp"
#include "ipam/lmdb_internal.hpp"
#include "ipam/page_guard_internal.hpp"
#include "ipam/store.hpp"

namespace netctl::ipam {
namespace {

class Cursor {
 public:
  Cursor(MDB_txn* txn, unsigned dbi) { check_lmdb(::mdb_cursor_open(txn, dbi, &cursor_), "open a cursor"); }
  Cursor(const Cursor&) = delete;
  Cursor& operator=(const Cursor&) = delete;
  ~Cursor() { ::mdb_cursor_close(cursor_); }

  /// Moves to the first key >= `from`, or onwards when `from` is nullptr. False at the end.
  bool move(const std::string* from) {
    if (from != nullptr) key_ = lmdb_value(*from);
    MDB_cursor_op operation = MDB_NEXT;
    // LMDB knows no empty keys, not even to start from.
    if (from != nullptr) operation = from->empty() ? MDB_FIRST : MDB_SET_RANGE;
    const int result = ::mdb_cursor_get(cursor_, &key_, &value_, operation);
    if (result == MDB_NOTFOUND) return false;
    check_lmdb(result, "read the next record");
    return true;
  }
  [[nodiscard]] std::string_view key() const { return lmdb_view(key_); }
  [[nodiscard]] std::string_view value() const { return lmdb_view(value_); }

 private:
  MDB_cursor* cursor_ = nullptr;
  MDB_val key_{};
  MDB_val value_{};
};

/// Keeps the guard one leaf ahead of a cursor that walks on.
class Lookahead {
 public:
  Lookahead(PageGuard* guard, const std::string& first) : guard_(guard) {
    if (guard_ == nullptr) return;
    next_leaf_ = guard_->check_path(first);
    if (next_leaf_) leaf_behind_ = guard_->check_path(*next_leaf_);
  }
  void follow(std::string_view key) {
    while (next_leaf_ && key >= *next_leaf_) {
      next_leaf_ = std::move(leaf_behind_);
      leaf_behind_.reset();
      if (next_leaf_) leaf_behind_ = guard_->check_path(*next_leaf_);
    }
  }

 private:
  PageGuard* guard_;
  std::optional<std::string> next_leaf_, leaf_behind_;
};

/// Two names with one hash: 2^-64 with billions of them, and still not to be confused.
template <class Name>
void require_same_name(const Name& wanted, const Name& stored) {
  if (wanted != stored) {
    throw Error(ErrorCode::kInternal, "two names have the same hash in the state store; rename one of them");
  }
}

}  // namespace

std::optional<std::string> Transaction::get(const std::string& key) const {
  if (guard_ != nullptr) guard_->check_path(key);
  MDB_val wanted = lmdb_value(key);
  MDB_val found{};
  const int result = ::mdb_get(txn_, dbi_, &wanted, &found);
  if (result == MDB_NOTFOUND) return std::nullopt;
  check_lmdb(result, "read a record");
  return unseal(key, lmdb_view(found));
}

void Transaction::put(const std::string& key, const std::string& value) {
  if (!writable_) throw Error(ErrorCode::kInternal, "a reading transaction cannot write");
  const std::string sealed = seal(key, value);
  if (guard_ != nullptr) guard_->check_for_put(key, key.size() + sealed.size());
  MDB_val where = lmdb_value(key);
  MDB_val what = lmdb_value(sealed);
  check_lmdb(::mdb_put(txn_, dbi_, &where, &what, 0), "write a record");
}

void Transaction::erase(const std::string& key) {
  if (!writable_) throw Error(ErrorCode::kInternal, "a reading transaction cannot write");
  if (guard_ != nullptr) guard_->check_path(key);
  MDB_val where = lmdb_value(key);
  MDB_val found{};
  const int result = ::mdb_get(txn_, dbi_, &where, &found);
  if (result == MDB_NOTFOUND) return;
  check_lmdb(result, "read a record");
  if (guard_ != nullptr) guard_->check_for_erase(key, key.size() + found.mv_size);
  check_lmdb(::mdb_del(txn_, dbi_, &where, nullptr), "erase a record");
}

void Transaction::scan(const std::string& prefix, const std::string& from,
                       const std::function<bool(const std::string&, const std::string&)>& visit) const {
  const std::string& first = std::max(prefix, from);
  Lookahead lookahead(guard_, first);
  Cursor cursor(txn_, dbi_);
  for (bool found = cursor.move(&first); found && cursor.key().starts_with(prefix);
       found = cursor.move(nullptr)) {
    lookahead.follow(cursor.key());
    const std::string key(cursor.key());
    if (!visit(key, unseal(key, cursor.value()))) return;
  }
}

void Transaction::scan_keys(const std::string& prefix, const std::string& from,
                            const std::function<bool(std::string_view)>& visit) const {
  const std::string& first = std::max(prefix, from);
  Lookahead lookahead(guard_, first);
  Cursor cursor(txn_, dbi_);
  for (bool found = cursor.move(&first); found && cursor.key().starts_with(prefix);
       found = cursor.move(nullptr)) {
    lookahead.follow(cursor.key());
    if (!visit(cursor.key())) return;
  }
}

std::optional<AttachmentRecord> Transaction::find_attachment(const AttachmentKey& key) const {
  const std::optional<std::string> value = get(attachment_key(key));
  if (!value) return std::nullopt;
  AttachmentRecord record = decode_attachment(*value);
  require_same_name(key, record.key);
  return record;
}

void Transaction::put_attachment(const AttachmentRecord& record) {
  put(attachment_key(record.key), encode(record));
}

void Transaction::erase_attachment(const AttachmentKey& key) { erase(attachment_key(key)); }

std::vector<AttachmentRecord> Transaction::list_attachments(const std::optional<std::string>& network) const {
  const std::string prefix =
      network ? hashed_key(kAttachmentPrefix, *network) : std::string{kAttachmentPrefix};
  std::vector<AttachmentRecord> records;
  scan(prefix, prefix, [&](const std::string&, const std::string& value) {
    records.push_back(decode_attachment(value));
    if (network) require_same_name(*network, records.back().key.network);
    return true;
  });
  return records;
}

bool Transaction::has_attachments(const std::string& network) const {
  const std::string prefix = hashed_key(kAttachmentPrefix, network);
  bool found = false;
  scan_keys(prefix, prefix, [&](std::string_view) {
    found = true;
    return false;
  });
  return found;
}

std::optional<NetworkRecord> Transaction::find_network(const std::string& name) const {
  const std::optional<std::string> value = get(hashed_key(kNetworkPrefix, name));
  if (!value) return std::nullopt;
  NetworkRecord record = decode_network(*value);
  require_same_name(name, record.name);
  return record;
}

void Transaction::put_network(const NetworkRecord& record) {
  put(hashed_key(kNetworkPrefix, record.name), encode(record));
}

void Transaction::erase_network(const std::string& name) { erase(hashed_key(kNetworkPrefix, name)); }

std::vector<NetworkRecord> Transaction::list_networks() const {
  const std::string prefix{kNetworkPrefix};
  std::vector<NetworkRecord> records;
  scan(prefix, prefix, [&](const std::string&, const std::string& value) {
    records.push_back(decode_network(value));
    return true;
  });
  return records;
}

}  // namespace netctl::ipam
