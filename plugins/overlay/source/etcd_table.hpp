#pragma once
// A network's keys in etcd, as this agent last saw them, and what follows from them. No input, no output.
//
//   /netctl/v1/CLUSTER/net/NETWORK/config         what all nodes agree on; made by the first one
//   /netctl/v1/CLUSTER/net/NETWORK/block/NUMBER   8 hex digits: the record of the node that owns it. Without lease: whether
//                                                 a node can be reached says nothing about who owns the addresses
//   /netctl/v1/CLUSTER/net/NETWORK/node/NAME      its number: a node has one, a name belongs to one machine
//   /netctl/v1/CLUSTER/net/NETWORK/alive/NAME     with the agent's lease
//   /netctl/v1/CLUSTER/vni/VNI                    the network that uses it

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "plugins/overlay/source/etcd_message.hpp"
#include "plugins/overlay/source/peer_source.hpp"

namespace netctl::overlay::etcd {

class Table {
 public:
  Table(const Application& application, const std::string& cluster);

  /// A whole list. `asked_at` is revision() when it was asked for: one that is older than that is refused, one that was
  /// overtaken by events since is passed over. Errors: kDecode, when it comes from another etcd cluster or from an older
  /// state; nothing is changed then.
  void replace(const Header& header, const std::vector<KeyValue>& kvs, std::int64_t asked_at);
  void apply(const std::vector<Event>& events);

  [[nodiscard]] bool complete() const { return revision_ != 0; }
  [[nodiscard]] std::int64_t revision() const { return revision_; }
  /// Errors: kDecode, as above.
  void check_origin(const Header& header, std::int64_t asked_at) const;

  struct Found {
    std::uint32_t number = 0;
    KeyValue kv;
    NodeRecord record;
  };
  /// The block that says that it is this node's.
  [[nodiscard]] std::optional<Found> own() const { return of(self_); }
  [[nodiscard]] std::optional<Found> of(const std::string& node) const;
  /// The record at a number, whoever owns it.
  [[nodiscard]] std::optional<Found> at(std::uint32_t number) const;
  /// nullptr when there is no such key.
  [[nodiscard]] const KeyValue* find(const std::string& key) const;
  /// One of the free ones, by `choice`, so that many that choose at once seldom want the same; nullopt: all are taken.
  [[nodiscard]] std::optional<std::uint32_t> free_number(std::uint64_t choice) const;
  /// Peers and rejected records. One that is unusable is left out, never the others because of it.
  void fill(View& view) const;

  [[nodiscard]] std::string config_key() const { return prefix_ + "config"; }
  [[nodiscard]] std::string block_key(std::uint32_t number) const;
  [[nodiscard]] std::string node_key(const std::string& node) const { return prefix_ + "node/" + node; }
  [[nodiscard]] std::string alive_key(const std::string& node) const { return prefix_ + "alive/" + node; }
  [[nodiscard]] const std::string& vni_key() const { return vni_key_; }
  [[nodiscard]] const std::string& prefix() const { return prefix_; }
  [[nodiscard]] const BlockPlan& plan() const { return plan_; }

 private:
  void put(const KeyValue& kv);
  void erase(const std::string& key);

  std::string self_;
  Family underlay_;
  BlockPlan plan_;
  std::string prefix_, vni_key_;
  std::uint64_t cluster_ = 0;
  std::int64_t revision_ = 0, listed_revision_ = 0;
  std::map<std::string, KeyValue> keys_;
  std::map<std::uint32_t, Found> blocks_;
  std::map<std::uint32_t, std::string> unreadable_;  ///< number -> sentence
  std::map<std::string, std::uint32_t> numbers_;     ///< node -> number
};

}  // namespace netctl::overlay::etcd
