#include "plugins/overlay/source/etcd_table.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <set>

#include "base/error.hpp"

namespace netctl::overlay::etcd {
namespace {

constexpr std::size_t kNumberDigits = 8;

std::optional<std::uint32_t> parse_number(std::string_view text) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, 16);
  if (text.size() != kNumberDigits || error != std::errc{} || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return number;
}

}  // namespace

Table::Table(const Application& application, const std::string& cluster)
    : self_(application.self.node.name),
      underlay_(application.self.node.vtep.family()),
      plan_(application.config),
      prefix_("/netctl/v1/" + cluster + "/net/" + application.config.network + "/"),
      vni_key_("/netctl/v1/" + cluster + "/vni/" + std::to_string(application.config.vni)) {}

std::string Table::block_key(std::uint32_t number) const {
  std::array<char, kNumberDigits + 1> text{};
  std::snprintf(text.data(), text.size(), "%08x", number);
  return prefix_ + "block/" + text.data();
}

void Table::check_origin(const Header& header, std::int64_t asked_at) const {
  if (cluster_ != 0 && header.cluster != cluster_) {
    throw Error(ErrorCode::kDecode,
                "another etcd cluster answers than before; what it does not know is not taken for removed. "
                "Restart netctl-agent if it is meant to be used from now on");
  }
  if (header.revision < asked_at) {
    throw Error(ErrorCode::kDecode,
                "etcd's revision went back, from " + std::to_string(asked_at) + " to " +
                    std::to_string(header.revision) +
                    ": it was restored from a copy, or lags; what it does not know is not taken for "
                    "removed. Restart netctl-agent if it is meant to be used from now on");
  }
}

void Table::replace(const Header& header, const std::vector<KeyValue>& kvs, std::int64_t asked_at) {
  check_origin(header, asked_at);
  if (header.revision < revision_) return;
  cluster_ = header.cluster;
  revision_ = listed_revision_ = header.revision;
  std::set<std::string> present;
  for (const KeyValue& kv : kvs) present.insert(kv.key);
  std::vector<std::string> gone;
  for (const auto& [key, kv] : keys_) {
    if (!present.contains(key)) gone.push_back(key);
  }
  for (const std::string& key : gone) erase(key);
  for (const KeyValue& kv : kvs) put(kv);
}

void Table::apply(const std::vector<Event>& events) {
  for (const Event& event : events) {
    const KeyValue* known = find(event.kv.key);
    if (event.kv.mod_revision <= listed_revision_) continue;  // a later list had it
    if (known != nullptr && known->mod_revision >= event.kv.mod_revision) continue;
    if (event.deleted) {
      erase(event.kv.key);
    } else {
      put(event.kv);
    }
    revision_ = std::max(revision_, event.kv.mod_revision);
  }
}

void Table::put(const KeyValue& kv) {
  const std::string block = prefix_ + "block/";
  keys_[kv.key] = kv;
  if (!kv.key.starts_with(block)) return;
  const auto number = parse_number(std::string_view(kv.key).substr(block.size()));
  if (!number) return;  // of a version that is not known here
  try {
    Found found{*number, kv, parse_record(kv.value, "the key " + kv.key)};
    if (*number >= plan_.count() || found.record.node.blocks != plan_.blocks(*number)) {
      throw Error(ErrorCode::kDecode, "the key " + kv.key + " of node " + found.record.node.name +
                                          " has other blocks than its number stands for");
    }
    const auto before = blocks_.find(*number);
    if (before != blocks_.end()) numbers_.erase(before->second.record.node.name);
    numbers_[found.record.node.name] = *number;
    blocks_[*number] = std::move(found);
    unreadable_.erase(*number);
  } catch (const Error& error) {
    unreadable_[*number] = error.message();  // what was known of it stays
  }
}

void Table::erase(const std::string& key) {
  keys_.erase(key);
  const std::string block = prefix_ + "block/";
  if (!key.starts_with(block)) return;
  const auto number = parse_number(std::string_view(key).substr(block.size()));
  if (!number) return;
  unreadable_.erase(*number);
  const auto found = blocks_.find(*number);
  if (found == blocks_.end()) return;
  const auto name = numbers_.find(found->second.record.node.name);
  if (name != numbers_.end() && name->second == *number) numbers_.erase(name);
  blocks_.erase(found);
}

std::optional<Table::Found> Table::of(const std::string& node) const {
  const auto number = numbers_.find(node);
  return number == numbers_.end() ? std::nullopt : at(number->second);
}

std::optional<Table::Found> Table::at(std::uint32_t number) const {
  const auto found = blocks_.find(number);
  return found == blocks_.end() ? std::nullopt : std::optional(found->second);
}

const KeyValue* Table::find(const std::string& key) const {
  const auto found = keys_.find(key);
  return found == keys_.end() ? nullptr : &found->second;
}

std::optional<std::uint32_t> Table::free_number(std::uint64_t choice) const {
  std::vector<std::uint32_t> free;
  for (std::uint32_t number = 0; number < plan_.count(); ++number) {
    if (!blocks_.contains(number) && !unreadable_.contains(number)) free.push_back(number);
  }
  if (free.empty()) return std::nullopt;
  return free[choice % free.size()];
}

void Table::fill(View& view) const {
  view.peers.clear();
  view.rejected.clear();
  view.revision = static_cast<std::uint64_t>(revision_);
  for (const auto& [number, why] : unreadable_) view.rejected.push_back(why);
  std::vector<const Found*> by_age;
  for (const auto& [number, found] : blocks_) by_age.push_back(&found);
  std::sort(by_age.begin(), by_age.end(),
            [](const Found* a, const Found* b) { return a->kv.create_revision < b->kv.create_revision; });
  std::map<IpAddress, std::string> vteps;
  for (const Found* found : by_age) {
    const Node& node = found->record.node;
    const std::string who = "node " + node.name + " with VTEP " + node.vtep.to_string();
    if (node.vtep.family() != underlay_) {
      view.rejected.push_back(who + " is left out: this node's VTEP is of the other IP version");
      continue;
    }
    const auto [other, is_new] = vteps.emplace(node.vtep, node.name);
    if (!is_new) {
      view.rejected.push_back(who + " is left out: " + other->second +
                              " has the same VTEP; run `netctl node rm` for the one that is not there");
      continue;
    }
    view.peers[node.name] = {node, found->record.identity, find(alive_key(node.name)) != nullptr};
  }
}

}  // namespace netctl::overlay::etcd
