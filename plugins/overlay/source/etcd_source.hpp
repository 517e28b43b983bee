#pragma once
// etcd as a source. Level-triggered like the reconciler: whatever arrives (a list, an event, the outcome of a transaction, a
// lease) goes into the table, and advance() looks at the table and does the one next thing that is missing. Every write is a
// transaction on the revisions that were read, so that whoever was overtaken is refused, however late it comes.
//
// Connection: login (if any), then the lease and a list at the same time, then a watch from the list's revision. Whatever
// fails ends all transfers; the next member is tried after a pause, and the watch goes on from the revision it was at, or,
// when etcd has compacted that away, with a new list.

#include <optional>

#include "plugins/overlay/source/etcd_options.hpp"
#include "plugins/overlay/source/etcd_table.hpp"
#include "plugins/overlay/source/peer_source.hpp"

namespace netctl::overlay {

class EtcdSource : public PeerSource {
 public:
  EtcdSource(Application application, EtcdOptions options);

  [[nodiscard]] int fd() const override { return http_.fd(); }
  [[nodiscard]] Clock::time_point deadline() const override;
  void drive() override;
  void refresh() override;
  void remove_node(const std::string& name, Answer answer) override;

 private:
  using Json = nlohmann::json;
  using Read = std::function<void(const Json&)>;

  void begin();
  void connect();
  void list();
  void watch();
  void on_watch_piece(std::string_view piece);
  void on_watch_line(const std::string& line);
  void grant();
  void keep_alive();
  void post(const std::string& path, const Json& body, const std::string& what, Read read);
  void write(const std::vector<etcd::Unchanged>& conditions, const std::vector<etcd::Operation>& then,
             const std::vector<etcd::Operation>& otherwise, std::function<void(bool)> done = {});
  void guarded(const std::function<void()>& work);
  void fail(const std::string& sentence, bool log_out = false);

  void advance();
  void agree();
  void claim();
  void adopt(const etcd::Table::Found& own);
  void confirm(const etcd::Table::Found& own);
  void contest(const std::string& other);
  [[nodiscard]] bool others_alive() const;
  void publish();
  void say(std::string& where, const std::string& sentence);
  [[nodiscard]] NodeRecord own_record(std::uint32_t number) const;
  [[nodiscard]] std::string alive_text() const;
  [[nodiscard]] etcd::Unchanged as_seen(const std::string& key) const;
  [[nodiscard]] std::string url(const std::string& path) const;

  Application application_;
  EtcdOptions options_;
  HttpClient http_;
  etcd::Table table_;
  std::size_t member_ = 0;
  std::string token_;
  std::int64_t lease_ = 0, lease_seconds_;
  std::int64_t watched_revision_ = 0;  ///< all events up to it were seen; 0: a list is needed
  bool connected_ = false;             ///< the table is what etcd has, but for events on their way
  bool lease_ready_ = false, watching_ = false, writing_ = false, listing_ = false;
  bool had_blocks_ = false;
  unsigned losses_ = 0;  ///< transactions in a row that came too late
  std::chrono::milliseconds pause_;
  std::optional<Clock::time_point> retry_at_, keep_alive_at_, list_at_, look_at_;
  std::string line_;
  Answer removal_;
};

}  // namespace netctl::overlay
