#include "plugins/overlay/source/etcd_source.hpp"

#include <algorithm>
#include <ctime>
#include <random>

#include "base/error.hpp"
#include "plugins/cni/json_text.hpp"

namespace netctl::overlay {
namespace {

using namespace std::chrono_literals;
using etcd::Table;

constexpr auto kCallTimeout = 3000ms;
constexpr auto kShortestPause = 50ms;
constexpr auto kLongestPause = 1500ms;
constexpr auto kListInterval = 5min;
constexpr std::size_t kLongestLine = 64U << 20U;

/// Between half of it and all of it.
std::chrono::milliseconds jittered(std::chrono::milliseconds pause) {
  static std::minstd_rand random(std::random_device{}());
  const auto half = static_cast<unsigned>(pause.count() / 2);
  return std::chrono::milliseconds(half + random() % (half + 1));
}

std::string sentence_of(const Error& error) {
  return error.details().empty() ? error.message() : error.message() + " (" + error.details() + ")";
}

}  // namespace

EtcdSource::EtcdSource(Application application, EtcdOptions options)
    : application_(std::move(application)),
      options_(std::move(options)),
      http_(options_.tls),
      table_(application_, options_.cluster),
      lease_seconds_(options_.lease_seconds),
      pause_(kShortestPause) {
  had_blocks_ = !application_.former_blocks.empty();
  begin();
}

std::string EtcdSource::url(const std::string& path) const { return options_.endpoints[member_] + path; }

Clock::time_point EtcdSource::deadline() const {
  Clock::time_point first = Clock::now() + 1h;
  for (const auto& timer : {retry_at_, keep_alive_at_, list_at_, look_at_}) {
    if (timer) first = std::min(first, *timer);
  }
  return first;
}

void EtcdSource::drive() {
  http_.drive();
  const auto now = Clock::now();
  const auto due = [now](std::optional<Clock::time_point>& timer) {
    if (!timer || *timer > now) return false;
    timer.reset();
    return true;
  };
  if (due(retry_at_)) begin();
  if (due(keep_alive_at_)) keep_alive();
  if (due(list_at_)) list();
  if (due(look_at_)) advance();
}

void EtcdSource::refresh() {
  if (retry_at_) {
    retry_at_.reset();
    begin();
  } else if (connected_) {
    list();
  }
}

void EtcdSource::begin() {
  if (options_.user.empty() || !token_.empty()) {
    connect();
    return;
  }
  const Json login{{"name", options_.user}, {"password", options_.password}};
  post("/v3/auth/authenticate", login, "the login", [this](const Json& json) {
    token_ = etcd::read_token(json);
    connect();
  });
}

void EtcdSource::connect() {
  if (lease_ == 0) {
    grant();
  } else {
    keep_alive();
  }
  if (watched_revision_ == 0) {
    list();
  } else {
    watch();
  }
}

void EtcdSource::list() {
  if (listing_) return;
  listing_ = true;
  const auto on_reply = [this, asked_at = table_.revision()](const Json& json) {
    listing_ = false;
    const etcd::RangeReply reply = etcd::read_range(json);
    table_.replace(reply.header, reply.kvs, asked_at);
    ++view_.lists;
    list_at_ = Clock::now() + kListInterval + jittered(10s);
    connected_ = true;
    if (!watching_) {
      watched_revision_ = reply.header.revision;
      watch();
    }
    advance();
  };
  post("/v3/kv/range", etcd::range_request(table_.prefix()), "the list", on_reply);
}

void EtcdSource::watch() {
  watching_ = true;
  line_.clear();
  HttpCall call{
      url("/v3/watch"), etcd::watch_request(table_.prefix(), watched_revision_ + 1).dump(), {}, 0ms};
  call.headers.emplace_back("Content-Type: application/json");
  if (!token_.empty()) call.headers.push_back("Authorization: " + token_);
  http_.start(
      call,
      [this](const HttpReply& reply) {
        const std::string status = reply.status == 200 ? "" : " with status " + std::to_string(reply.status);
        fail("etcd " + options_.endpoints[member_] + " ended the watch" + status +
                 (reply.failure.empty() ? "" : ": " + reply.failure),
             reply.status == 401);
      },
      [this](std::string_view piece) { guarded([&] { on_watch_piece(piece); }); });
}

void EtcdSource::on_watch_piece(std::string_view piece) {
  line_ += piece;
  if (line_.size() > kLongestLine)
    throw Error(ErrorCode::kDecode, "etcd's watch sends a line without an end");
  while (watching_) {
    const std::size_t end = line_.find('\n');
    if (end == std::string::npos) return;
    const std::string line = line_.substr(0, end);
    line_.erase(0, end + 1);
    if (!line.empty()) on_watch_line(line);
  }
}

void EtcdSource::on_watch_line(const std::string& line) {
  const etcd::WatchReply reply = etcd::read_watch(etcd::parse_answer(line, "the watch"));
  if (reply.compact_revision != 0) watched_revision_ = 0;
  if (reply.canceled) {
    watched_revision_ = 0;
    throw Error(ErrorCode::kDecode,
                "etcd ended the watch: " + (reply.cancel_reason.empty() ? "compacted" : reply.cancel_reason));
  }
  // Only the first message says how far this member is: later ones may cross with transactions of ours.
  const std::int64_t known = reply.created ? watched_revision_ : 0;
  table_.check_origin(reply.header, known);
  table_.apply(reply.events);
  for (const etcd::Event& event : reply.events) {
    watched_revision_ = std::max(watched_revision_, event.kv.mod_revision);
  }
  connected_ = true;
  advance();
}

void EtcdSource::grant() {
  post("/v3/lease/grant", etcd::grant_request(options_.lease_seconds), "a lease", [this](const Json& json) {
    const etcd::LeaseReply reply = etcd::read_grant(json);
    lease_ = reply.id;
    lease_seconds_ = reply.ttl_seconds;
    lease_ready_ = true;
    keep_alive_at_ = Clock::now() + lease_seconds_ * 1000ms / 6;
    advance();
  });
}

void EtcdSource::keep_alive() {
  post("/v3/lease/keepalive", etcd::keepalive_request(lease_), "the lease's renewal",
       [this](const Json& json) {
         const etcd::LeaseReply reply = etcd::read_keepalive(json);
         if (reply.ttl_seconds <= 0 || reply.id != lease_) {  // it ended meanwhile
           lease_ = 0;
           lease_ready_ = false;
           grant();
           return;
         }
         lease_ready_ = true;
         pause_ = kShortestPause;
         if (view_.trouble.empty()) view_.confirmed_wall_seconds = ::time(nullptr);
         keep_alive_at_ = Clock::now() + lease_seconds_ * 1000ms / 6;
         advance();
       });
}

void EtcdSource::post(const std::string& path, const Json& body, const std::string& what, Read read) {
  HttpCall call{url(path), body.dump(), {"Content-Type: application/json"}, kCallTimeout};
  if (!token_.empty()) call.headers.push_back("Authorization: " + token_);
  http_.start(call, [this, what, read = std::move(read)](const HttpReply& reply) {
    const std::string who = "etcd " + options_.endpoints[member_];
    if (!reply.failure.empty()) {
      fail(who + " gives no answer to " + what + ": " + reply.failure);
    } else if (reply.status >= 300 && reply.status < 400) {
      fail(who + " answers " + what + " with a redirect (status " + std::to_string(reply.status) +
           "), which is not followed; write the address it leads to into source.endpoints");
    } else if (reply.status != 200) {
      fail(who + " answers " + what + " with status " + std::to_string(reply.status) + ": " +
               cni::shortened(reply.body),
           reply.status == 401);
    } else {
      guarded([&] { read(etcd::parse_answer(reply.body, what)); });
    }
  });
}

void EtcdSource::write(const std::vector<etcd::Unchanged>& conditions,
                       const std::vector<etcd::Operation>& then,
                       const std::vector<etcd::Operation>& otherwise, std::function<void(bool)> done) {
  writing_ = true;
  post("/v3/kv/txn", etcd::txn_request(conditions, then, otherwise), "a transaction",
       [this, then, done = std::move(done), asked_at = table_.revision()](const Json& json) {
         writing_ = false;
         const etcd::TxnReply reply = etcd::read_txn(json);
         if (reply.succeeded) {
           losses_ = 0;
           std::vector<etcd::Event> events;
           for (const etcd::Operation& operation : then) {
             const etcd::KeyValue* known = table_.find(operation.key);
             const std::int64_t revision = reply.header.revision;
             events.push_back(
                 {operation.kind == etcd::Operation::Kind::kDelete,
                  {operation.key, operation.value, known == nullptr ? revision : known->create_revision,
                   revision, operation.lease}});
           }
           table_.apply(events);
         } else {
           ++losses_;
           table_.replace(reply.header, reply.kvs, asked_at);
         }
         if (done) done(reply.succeeded);
         advance();
       });
}

/// What comes from etcd and makes no sense ends the connection, and changes nothing.
void EtcdSource::guarded(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    fail("etcd " + options_.endpoints[member_] + ": " + sentence_of(error),
         error.message().find("auth token") != std::string::npos);
  } catch (const std::exception& error) {
    fail("etcd " + options_.endpoints[member_] + ": " + error.what());
  }
}

void EtcdSource::fail(const std::string& sentence, bool log_out) {
  http_.cancel_all();
  connected_ = lease_ready_ = watching_ = writing_ = listing_ = false;
  keep_alive_at_.reset();
  list_at_.reset();
  look_at_.reset();
  if (log_out) token_.clear();
  ++view_.failures;
  say(view_.trouble, sentence);
  member_ = (member_ + 1) % options_.endpoints.size();
  retry_at_ = Clock::now() + jittered(pause_);
  pause_ = std::min<std::chrono::milliseconds>(pause_ * 2, kLongestPause);
  if (removal_) std::exchange(removal_, {})(sentence);
}

void EtcdSource::say(std::string& where, const std::string& sentence) {
  if (where == sentence) return;
  where = sentence;
  ++view_.generation;
}

}  // namespace netctl::overlay
