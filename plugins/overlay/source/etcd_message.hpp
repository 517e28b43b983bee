#pragma once
// Messages of etcd's JSON gateway (/v3/..., etcdserverpb/rpc.proto as JSON: 64-bit numbers are strings, keys and values
// base64, zero and false are left out).
//
// The gateway ignores fields that it does not know, so that a misspelt comparison would silently be none: requests are
// built here only. Answers are read the other way round: an unknown field, or one that should be there and is not, makes
// the whole answer worthless, because what is left out would mean "nothing".

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace netctl::overlay::etcd {

using Json = nlohmann::json;

struct KeyValue {
  std::string key, value;
  std::int64_t create_revision = 0, mod_revision = 0;
  std::int64_t lease = 0;  ///< 0: none
};

struct Header {
  std::uint64_t cluster = 0;
  std::int64_t revision = 0;
};

/// A key at a revision; 0: it does not exist.
struct Unchanged {
  std::string key;
  std::int64_t mod_revision = 0;
};

struct Operation {
  enum class Kind { kPut, kDelete, kGet, kRange } kind = Kind::kRange;
  std::string key, value;
  std::int64_t lease = 0;
};

[[nodiscard]] Operation put(std::string key, std::string value, std::int64_t lease = 0);
[[nodiscard]] Operation erase(std::string key);
[[nodiscard]] Operation get(std::string key);
/// All keys that begin with it.
[[nodiscard]] Operation range_of(std::string prefix);

/// The first string after all that begin with `prefix`.
[[nodiscard]] std::string end_of_prefix(std::string prefix);

[[nodiscard]] Json range_request(const std::string& prefix);
[[nodiscard]] Json txn_request(const std::vector<Unchanged>& conditions, const std::vector<Operation>& then,
                               const std::vector<Operation>& otherwise);
[[nodiscard]] Json watch_request(const std::string& prefix, std::int64_t start_revision);
[[nodiscard]] Json grant_request(std::int64_t seconds);
[[nodiscard]] Json keepalive_request(std::int64_t lease);

struct RangeReply {
  Header header;
  std::vector<KeyValue> kvs;
};
struct TxnReply {
  Header header;
  bool succeeded = false;
  std::vector<KeyValue> kvs;  ///< of all ranges in the branch that was taken
};
struct LeaseReply {
  std::int64_t id = 0;
  std::int64_t ttl_seconds = 0;  ///< 0: there is no such lease
};
struct Event {
  bool deleted = false;
  KeyValue kv;  ///< when deleted: key and mod_revision only
};
struct WatchReply {
  Header header;
  bool created = false, canceled = false;
  std::int64_t compact_revision = 0;  ///< not 0: what was asked for is not kept any more
  std::string cancel_reason;
  std::vector<Event> events;
};

/// An answer's JSON. Errors of these and all below: kDecode, a sentence that names what is wrong.
[[nodiscard]] Json parse_answer(std::string_view body, const std::string& what);
[[nodiscard]] RangeReply read_range(const Json& json);
[[nodiscard]] TxnReply read_txn(const Json& json);
[[nodiscard]] LeaseReply read_grant(const Json& json);
[[nodiscard]] LeaseReply read_keepalive(const Json& json);
[[nodiscard]] std::string read_token(const Json& json);
[[nodiscard]] WatchReply read_watch(const Json& json);

}  // namespace netctl::overlay::etcd
