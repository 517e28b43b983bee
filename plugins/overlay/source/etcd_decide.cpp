// What an EtcdSource does next: the decisions; input and output are in etcd_source.cpp.

#include <algorithm>
#include <ctime>

#include "base/error.hpp"
#include "plugins/overlay/source/etcd_source.hpp"

namespace netctl::overlay {
namespace {

using namespace std::chrono_literals;
using etcd::Table;

constexpr auto kLookInterval = 2s;  // at what waits for somebody else
constexpr unsigned kLossesBeforePause = 8;
constexpr auto kPauseAfterLosses = 20ms;

std::string text_of(const std::vector<IpPrefix>& blocks) {
  std::string text;
  for (const IpPrefix& block : blocks) text += (text.empty() ? "" : ", ") + block.to_string();
  return text;
}

}  // namespace

NodeRecord EtcdSource::own_record(std::uint32_t number) const {
  NodeRecord record = application_.self;
  record.node.blocks = table_.plan().blocks(number);
  return record;
}

std::string EtcdSource::alive_text() const {
  return nlohmann::json{{"identity", application_.self.identity},
                        {"vtep", application_.self.node.vtep.to_string()}}
      .dump();
}

etcd::Unchanged EtcdSource::as_seen(const std::string& key) const {
  const etcd::KeyValue* known = table_.find(key);
  return {key, known == nullptr ? 0 : known->mod_revision};
}

void EtcdSource::publish() {
  const View before = view_;
  table_.fill(view_);
  const bool same = before.peers == view_.peers && before.rejected == view_.rejected;
  if (!same) ++view_.generation;
}

void EtcdSource::advance() {
  if (!connected_ || !table_.complete()) return;
  const etcd::KeyValue* config = table_.find(table_.config_key());
  if (config != nullptr && config->value != agreement(application_.config)) {
    say(view_.trouble, "the nodes of network " + application_.config.network + " agreed on " + config->value +
                           ", but this node's configuration says " + agreement(application_.config) +
                           "; make it the same, or use another network name");
    return;
  }
  if (config != nullptr) publish();
  if (!lease_ready_ || writing_) return;
  if (losses_ > kLossesBeforePause) {
    losses_ = 0;
    look_at_ = Clock::now() + kPauseAfterLosses;
    return;
  }
  if (config == nullptr) {
    agree();
  } else if (const auto own = table_.own()) {
    adopt(*own);
  } else {
    claim();
  }
}

/// The first node of a network says what all others have to agree with, and takes the VNI.
void EtcdSource::agree() {
  if (const etcd::KeyValue* user = table_.find(table_.vni_key())) {
    say(view_.trouble, "VNI " + std::to_string(application_.config.vni) + " is used by network " +
                           user->value + " in this etcd; choose another vni on all nodes");
    look_at_ = Clock::now() + kLookInterval;
    return;
  }
  const std::string& network = application_.config.network;
  write(
      {{table_.config_key(), 0}, {table_.vni_key(), 0}},
      {etcd::put(table_.config_key(), agreement(application_.config)), etcd::put(table_.vni_key(), network)},
      {etcd::range_of(table_.prefix()), etcd::get(table_.vni_key())});
}

bool EtcdSource::others_alive() const {
  const etcd::KeyValue* alive = table_.find(table_.alive_key(application_.self.node.name));
  return alive != nullptr && alive->value != alive_text();
}

void EtcdSource::contest(const std::string& other) {
  const std::string& name = application_.self.node.name;
  const std::string sentence = "another machine takes part as node " + name + " (" + other +
                               "); give one of them another name by the key node, or, if that machine is "
                               "gone for good, run `netctl node rm " +
                               name + "` on any other node";
  if (had_blocks_ && !view_.blocks.empty()) say(view_.fenced, sentence);
  say(view_.trouble, sentence);
  look_at_ = Clock::now() + kLookInterval;
}

void EtcdSource::claim() {
  const BlockPlan& plan = table_.plan();
  const std::string& name = application_.self.node.name;
  if (others_alive()) {
    contest(table_.find(table_.alive_key(name))->value);
    return;
  }
  auto number = table_.free_number(choice_of(name, losses_));
  if (const auto former = plan.number_of(application_.former_blocks)) {
    const auto taken = table_.at(*former);
    if (taken && !application_.may_move()) {
      say(view_.fenced, "the blocks " + text_of(application_.former_blocks) + " belong to node " +
                            taken->record.node.name +
                            " now, and containers of this node still have addresses of them; remove these "
                            "containers, then other blocks are claimed");
      look_at_ = Clock::now() + kLookInterval;
      return;
    }
    if (taken) {
      application_.former_blocks.clear();
      view_.blocks.clear();
      view_.owns_nothing = true;
      ++view_.generation;
    } else {
      number = *former;
    }
  }
  if (!number) {
    say(view_.trouble,
        "all " + std::to_string(plan.count()) + " blocks of network " + application_.config.network +
            " are taken; remove nodes that are gone for good (`netctl node ls`, `netctl node rm`)");
    look_at_ = Clock::now() + kLookInterval;
    return;
  }
  char digits[9];
  std::snprintf(digits, sizeof digits, "%08x", *number);
  write({{table_.block_key(*number), 0},
         as_seen(table_.node_key(name)),
         as_seen(table_.alive_key(name)),
         as_seen(table_.config_key())},
        {etcd::put(table_.block_key(*number), to_text(own_record(*number))),
         etcd::put(table_.node_key(name), digits), etcd::put(table_.alive_key(name), alive_text(), lease_)},
        {etcd::range_of(table_.prefix())});
}

/// The block says that it is this node's; is it this machine's, as it is now, and does the agent's lease say so?
void EtcdSource::adopt(const Table::Found& own) {
  if (own.record.identity != application_.self.identity) {
    contest("VTEP " + own.record.node.vtep.to_string());
    return;
  }
  const std::string alive_key = table_.alive_key(application_.self.node.name);
  if (others_alive()) {
    contest(table_.find(alive_key)->value);
    return;
  }
  const NodeRecord wanted = own_record(own.number);
  const etcd::KeyValue* alive = table_.find(alive_key);
  if (own.record == wanted && alive != nullptr && alive->lease == lease_) {
    confirm(own);
    return;
  }
  std::vector<etcd::Operation> then{etcd::put(alive_key, alive_text(), lease_)};
  if (own.record != wanted) then.push_back(etcd::put(own.kv.key, to_text(wanted)));
  write({{own.kv.key, own.kv.mod_revision}, as_seen(alive_key)}, then, {etcd::range_of(table_.prefix())});
}

void EtcdSource::confirm(const Table::Found& own) {
  look_at_.reset();
  pause_ = 50ms;
  view_.confirmed_wall_seconds = ::time(nullptr);
  say(view_.trouble, "");
  say(view_.fenced, "");
  had_blocks_ = true;
  if (view_.blocks == own.record.node.blocks) return;
  view_.blocks = own.record.node.blocks;
  view_.owns_nothing = false;
  application_.former_blocks = view_.blocks;
  ++view_.generation;
}

void EtcdSource::remove_node(const std::string& name, Answer answer) {
  if (!connected_ || removal_ || writing_) {
    answer(view_.trouble.empty() ? "the agent is busy; try again" : view_.trouble);
    return;
  }
  const auto found = table_.of(name);
  if (!found) {
    answer("network " + application_.config.network + " has no node " + name + "; see `netctl node ls`");
    return;
  }
  removal_ = std::move(answer);
  const std::string alive_key = table_.alive_key(name);
  write(
      {{found->kv.key, found->kv.mod_revision}, {alive_key, 0}},
      {etcd::erase(found->kv.key), etcd::erase(table_.node_key(name))}, {etcd::range_of(table_.prefix())},
      [this, name](bool done) {
        const Answer reply = std::exchange(removal_, {});
        if (!reply) return;
        reply(
            done ? ""
                 : "node " + name +
                       " is alive (or changed just now): stop its agent, wait until its lease has ended, and "
                       "try again");
      });
}

std::unique_ptr<PeerSource> make_etcd_source(Application application) {
  EtcdOptions options = read_etcd_options(application.config);
  return std::make_unique<EtcdSource>(std::move(application), std::move(options));
}

}  // namespace netctl::overlay
