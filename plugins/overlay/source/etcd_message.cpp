#include "plugins/overlay/source/etcd_message.hpp"

#include <algorithm>
#include <charconv>
#include <initializer_list>

#include "base/error.hpp"
#include "plugins/cni/json_text.hpp"
#include "plugins/overlay/source/base64.hpp"

namespace netctl::overlay::etcd {
namespace {

[[noreturn]] void refuse(const std::string& what, const std::string& why, const Json& json) {
  throw Error(ErrorCode::kDecode, "etcd's answer makes no sense: " + what + " " + why,
              cni::shortened(cni::to_text(json)));
}

/// An object of an answer, of which every field has to be known.
class Fields {
 public:
  Fields(const Json& json, std::string what, std::initializer_list<std::string_view> known)
      : json_(&json), what_(std::move(what)) {
    if (!json.is_object()) refuse(what_, "is no object", json);
    for (const auto& [key, value] : json.items()) {
      if (std::find(known.begin(), known.end(), key) == known.end()) {
        refuse(what_, "has the unknown field " + cni::shortened(key, 40), json);
      }
    }
  }
  [[nodiscard]] bool has(const char* key) const { return json_->contains(key); }
  [[nodiscard]] const Json& at(const char* key) const {
    if (!has(key)) refuse(what_, std::string("has no ") + key, *json_);
    return (*json_)[key];
  }
  /// A field that is left out is `otherwise`; nullopt: it must not be.
  template <class Number>
  [[nodiscard]] Number number(const char* key, std::optional<Number> otherwise) const {
    if (!has(key) && otherwise) return *otherwise;
    const Json& value = at(key);
    Number number = 0;
    const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (text.empty() || error != std::errc{} || end != text.data() + text.size()) {
      refuse(what_ + "." + key, "is no number", *json_);
    }
    return number;
  }
  [[nodiscard]] std::int64_t revision(const char* key) const {
    const auto value = number<std::int64_t>(key, std::nullopt);
    if (value <= 0) refuse(what_ + "." + key, "is not positive", *json_);
    return value;
  }
  [[nodiscard]] bool boolean(const char* key) const {
    if (!has(key)) return false;
    if (!at(key).is_boolean()) refuse(what_ + "." + key, "is neither true nor false", *json_);
    return at(key).get<bool>();
  }
  [[nodiscard]] std::string text(const char* key) const {
    if (!at(key).is_string()) refuse(what_ + "." + key, "is no text", *json_);
    return at(key).get<std::string>();
  }
  [[nodiscard]] std::string bytes(const char* key) const {
    auto decoded = from_base64(text(key));
    if (!decoded) refuse(what_ + "." + key, "is not base64", *json_);
    return *std::move(decoded);
  }
  [[nodiscard]] std::vector<Json> list(const char* key) const {
    if (!has(key)) return {};
    if (!at(key).is_array()) refuse(what_ + "." + key, "is no list", *json_);
    return at(key).get<std::vector<Json>>();
  }

 private:
  const Json* json_;
  std::string what_;
};

Header read_header(const Json& json, const std::string& what) {
  const Fields fields(json, what + ".header", {"cluster_id", "member_id", "revision", "raft_term"});
  return {fields.number<std::uint64_t>("cluster_id", std::nullopt), fields.revision("revision")};
}

KeyValue read_kv(const Json& json, bool deleted) {
  const Fields fields(json, "a key", {"key", "value", "create_revision", "mod_revision", "version", "lease"});
  KeyValue kv;
  kv.key = fields.bytes("key");
  kv.mod_revision = fields.revision("mod_revision");
  if (deleted) return kv;
  kv.value = fields.bytes("value");
  kv.create_revision = fields.revision("create_revision");
  kv.lease = fields.number<std::int64_t>("lease", 0);
  return kv;
}

std::vector<KeyValue> read_kvs(const Fields& fields, const Json& json) {
  std::vector<KeyValue> kvs;
  for (const Json& kv : fields.list("kvs")) kvs.push_back(read_kv(kv, false));
  if (fields.boolean("more") || fields.number<std::uint64_t>("count", 0) != kvs.size()) {
    refuse("a range", "does not have as many keys as it says", json);
  }
  return kvs;
}

Json operation_json(const Operation& operation) {
  switch (operation.kind) {
    case Operation::Kind::kPut: {
      Json request{{"key", to_base64(operation.key)}, {"value", to_base64(operation.value)}};
      if (operation.lease != 0) request["lease"] = std::to_string(operation.lease);
      return {{"request_put", request}};
    }
    case Operation::Kind::kDelete:
      return {{"request_delete_range", {{"key", to_base64(operation.key)}}}};
    case Operation::Kind::kGet:
      return {{"request_range", {{"key", to_base64(operation.key)}}}};
    case Operation::Kind::kRange:
      break;
  }
  return {{"request_range", range_request(operation.key)}};
}

Json operations_json(const std::vector<Operation>& operations) {
  Json list = Json::array();
  for (const Operation& operation : operations) list.push_back(operation_json(operation));
  return list;
}

}  // namespace

Operation put(std::string key, std::string value, std::int64_t lease) {
  return {Operation::Kind::kPut, std::move(key), std::move(value), lease};
}
Operation erase(std::string key) { return {Operation::Kind::kDelete, std::move(key), {}, 0}; }
Operation get(std::string key) { return {Operation::Kind::kGet, std::move(key), {}, 0}; }
Operation range_of(std::string prefix) { return {Operation::Kind::kRange, std::move(prefix), {}, 0}; }

std::string end_of_prefix(std::string prefix) {
  prefix.back() = static_cast<char>(prefix.back() + 1);  // ours all end with '/'
  return prefix;
}

Json range_request(const std::string& prefix) {
  return {{"key", to_base64(prefix)}, {"range_end", to_base64(end_of_prefix(prefix))}};
}

Json txn_request(const std::vector<Unchanged>& conditions, const std::vector<Operation>& then,
                 const std::vector<Operation>& otherwise) {
  Json compare = Json::array();
  for (const Unchanged& condition : conditions) {
    // Of a key that does not exist both revisions are 0.
    const bool absent = condition.mod_revision == 0;
    compare.push_back(
        {{"result", "EQUAL"},
         {"target", absent ? "CREATE" : "MOD"},
         {"key", to_base64(condition.key)},
         {absent ? "create_revision" : "mod_revision", std::to_string(condition.mod_revision)}});
  }
  return {{"compare", compare}, {"success", operations_json(then)}, {"failure", operations_json(otherwise)}};
}

Json watch_request(const std::string& prefix, std::int64_t start_revision) {
  Json request = range_request(prefix);
  request["start_revision"] = std::to_string(start_revision);
  request["progress_notify"] = true;
  return {{"create_request", request}};
}

Json grant_request(std::int64_t seconds) { return {{"TTL", std::to_string(seconds)}}; }
Json keepalive_request(std::int64_t lease) { return {{"ID", std::to_string(lease)}}; }

Json parse_answer(std::string_view body, const std::string& what) {
  Json json;
  try {
    json = cni::parse_json(body, what);
  } catch (const Error& error) {
    throw Error(ErrorCode::kDecode, "etcd's answer makes no sense: " + error.message(), error.details());
  }
  if (json.is_object() && json.contains("error")) {
    const Json& error = json["error"];
    std::string text = error.is_string() ? error.get<std::string>() : cni::to_text(error);
    if (error.is_object() && error.contains("message") && error["message"].is_string()) {
      text = error["message"].get<std::string>();
    }
    throw Error(ErrorCode::kDecode, "etcd refuses " + what + ": " + cni::shortened(text));
  }
  return json;
}

RangeReply read_range(const Json& json) {
  const Fields fields(json, "a range", {"header", "kvs", "more", "count"});
  return {read_header(fields.at("header"), "a range"), read_kvs(fields, json)};
}

TxnReply read_txn(const Json& json) {
  const Fields fields(json, "a transaction", {"header", "succeeded", "responses"});
  TxnReply reply;
  reply.header = read_header(fields.at("header"), "a transaction");
  reply.succeeded = fields.boolean("succeeded");
  if (!fields.has("responses")) refuse("a transaction", "has no responses", json);
  for (const Json& response : fields.list("responses")) {
    const Fields one(response, "a response", {"response_range", "response_put", "response_delete_range"});
    if (!one.has("response_range")) continue;
    const Json& range = one.at("response_range");
    const Fields inner(range, "a range", {"header", "kvs", "more", "count"});
    for (KeyValue& kv : read_kvs(inner, range)) reply.kvs.push_back(std::move(kv));
  }
  return reply;
}

LeaseReply read_grant(const Json& json) {
  const Fields fields(json, "a lease", {"header", "ID", "TTL"});
  const LeaseReply reply{fields.number<std::int64_t>("ID", std::nullopt),
                         fields.number<std::int64_t>("TTL", std::nullopt)};
  if (reply.id <= 0 || reply.ttl_seconds <= 0) refuse("a lease", "has no id or no time", json);
  return reply;
}

LeaseReply read_keepalive(const Json& json) {
  const Fields outer(json, "a keepalive", {"result"});
  const Fields fields(outer.at("result"), "a keepalive", {"header", "ID", "TTL"});
  return {fields.number<std::int64_t>("ID", std::nullopt), fields.number<std::int64_t>("TTL", 0)};
}

std::string read_token(const Json& json) {
  const Fields fields(json, "a login", {"header", "token"});
  return fields.text("token");
}

WatchReply read_watch(const Json& json) {
  const Fields outer(json, "a watch", {"result"});
  const Fields fields(
      outer.at("result"), "a watch",
      {"header", "watch_id", "created", "canceled", "compact_revision", "cancel_reason", "events"});
  WatchReply reply;
  reply.header = read_header(fields.at("header"), "a watch");
  reply.created = fields.boolean("created");
  reply.canceled = fields.boolean("canceled");
  reply.compact_revision = fields.number<std::int64_t>("compact_revision", 0);
  if (fields.has("cancel_reason")) reply.cancel_reason = fields.text("cancel_reason");
  for (const Json& item : fields.list("events")) {
    const Fields event(item, "an event", {"type", "kv", "prev_kv"});
    const std::string type = event.has("type") ? event.text("type") : "PUT";
    if (type != "PUT" && type != "DELETE") refuse("an event", "is of an unknown type", item);
    reply.events.push_back({type == "DELETE", read_kv(event.at("kv"), type == "DELETE")});
  }
  return reply;
}

}  // namespace netctl::overlay::etcd
