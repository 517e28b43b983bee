#include "plugins/engine/gc.hpp"

#include <dirent.h>

#include <algorithm>
#include <exception>
#include <memory>

#include "iptables/policy_table.hpp"
#include "netlink/link.hpp"
#include "plugins/engine/detach.hpp"
#include "plugins/engine/identity.hpp"
#include "plugins/engine/link_kinds.hpp"
#include "plugins/engine/liveness.hpp"
#include "plugins/engine/log.hpp"
#include "plugins/engine/netns_pin.hpp"
#include "plugins/engine/network.hpp"
#include "plugins/engine/sharing.hpp"

namespace netctl::engine {
namespace {

std::vector<ipam::AttachmentRecord> attachments_of(Host& host, const std::optional<std::string>& network) {
  std::vector<ipam::AttachmentRecord> records;
  host.live().read([&](const ipam::Transaction& store) { records = store.list_attachments(network); });
  return records;
}

using Keys = std::vector<ipam::AttachmentKey>;

Keys sharers_of(Host& host, const ipam::AttachmentRecord& owner) {
  Keys keys;
  host.live().read([&](const ipam::Transaction& store) {
    for (const ipam::SharerRecord& sharer : sharers_in(store, owner)) keys.push_back(sharer.sharer);
  });
  return keys;
}

template <class Step>
void attempt(GcReport& report, Step&& step) {
  try {
    step();
  } catch (const std::exception& error) {
    report.problems.emplace_back(error.what());
  }
}

/// A crash in the middle of ADD of one executable of a chain must not take the living container's other parts away.
bool collect_one(Host& host, const ipam::AttachmentKey& key) {
  const HeldLock lock = host.live().try_lock_attachment(key);
  if (!lock) return false;
  std::optional<ipam::AttachmentRecord> record;
  bool abandoned = false;
  host.live().read([&](const ipam::Transaction& store) {
    record = store.find_attachment(key);
    abandoned = record && is_abandoned(store, *record);
  });
  if (!record) return false;
  if (examine(host, *record) == Liveness::kDead) {
    detach(host, key, std::nullopt);
    return true;
  }
  const std::vector<std::string> left = left_parts(*record);
  bool collected = false;
  for (const auto& [part, state] : record->parts) {
    const bool has_left = abandoned && std::find(left.begin(), left.end(), part) != left.end();
    if (state == ipam::State::kReady && !has_left) continue;
    detach(host, key, part);
    collected = true;
  }
  return collected;
}

/// Those that were kept for sharers which this collection took away.
std::size_t collect_abandoned(Host& host, GcReport& report) {
  std::size_t collected = 0;
  for (const ipam::AttachmentRecord& record : attachments_of(host, std::nullopt)) {
    if (left_parts(record).empty()) continue;
    attempt(report, [&] {
      if (!collect_one(host, record.key)) return;
      ++collected;
      remove_network_if_unused(host, record.key.network);
    });
  }
  return collected;
}

/// A pin is made after its record and removed before it.
void collect_orphaned_pins(Host& host) {
  const std::vector<std::string> pins = list_pins(host.netns_cookie());
  if (pins.empty()) return;
  std::set<std::string> known;
  for (const ipam::AttachmentRecord& record : attachments_of(host, std::nullopt))
    known.insert(pin_path(host.netns_cookie(), record.key));
  for (const std::string& pin : pins) {
    if (!known.contains(pin)) unpin(pin);
  }
}

/// A store of this boot was put aside as damaged: what has no record may belong to containers that live.
bool has_lost_records(Host& host) {
  const std::string path = host.live().path();
  const std::size_t slash = path.find_last_of('/');
  const std::string begin = path.substr(slash + 1) + ".damaged-";
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(path.substr(0, slash).c_str()), ::closedir);
  while (const dirent* entry = folder ? ::readdir(folder.get()) : nullptr) {
    if (std::string_view(entry->d_name).substr(0, begin.size()) == begin) return true;
  }
  return false;
}

/// ADD records before it makes a link and DEL forgets after the link is gone: a link seen first and unknown afterwards is
/// nobody's.
void collect_orphaned_links(Host& host, GcReport& report) {
  std::vector<netlink::Link> links = netlink::list_links(host.route());
  std::set<std::string> known;
  for (const ipam::AttachmentRecord& record : attachments_of(host, std::nullopt))
    known.insert(key_digest(record.key));
  for (const netlink::Link& link : links) {
    const std::string digest = digest_in_alias(link.alias);
    if (digest.empty() || known.contains(digest)) continue;
    if (!links::original_name(link.alias).empty()) {
      attempt(report, [&] {
        links::give_back(host, link);
        ++report.links;
      });
      continue;
    }
    if (link.kind != "veth" && link.kind != "ifb") continue;
    attempt(report, [&] {
      host.route().transact(netlink::delete_link(link.index));
      ++report.links;
    });
  }
}

/// Comments and the masquerade switch do not tell two elements apart: their keys and targets do.
iptables::PublishedPort comparable(iptables::PublishedPort port) {
  port.comment.clear();
  port.masquerade_local = true;
  return port;
}

/// A range is one element, or one a port where its numbers are shifted: both forms are known.
void insert_with_singles(std::set<iptables::PublishedPort>& known, const iptables::PublishedPort& port) {
  known.insert(comparable(port));
  for (unsigned offset = 0; port.count > 1 && offset < port.count; ++offset) {
    iptables::PublishedPort single = comparable(port);
    single.count = 1;
    single.host_port = static_cast<std::uint16_t>(port.host_port + offset);
    single.container_port = static_cast<std::uint16_t>(port.container_port + offset);
    known.insert(std::move(single));
  }
}

void collect_orphaned_elements(Host& host, GcReport& report) {
  const HeldLock lock = host.live().lock_table(LockMode::kExclusive);
  iptables::PolicyTable table(host.netfilter());
  std::vector<iptables::PublishedPort> orphans = table.list_ports();
  std::set<std::string> chains;
  std::set<iptables::PublishedPort> known;
  host.live().read([&](const ipam::Transaction& store) {
    for (const ipam::AttachmentRecord& record : store.list_attachments()) {
      for (const iptables::PublishedPort& port : published_ports(record.key, record.ports)) {
        insert_with_singles(known, port);
      }
    }
    for (const ipam::NetworkRecord& network : store.list_networks())
      chains.insert(iptables::chain_name(network.name));
  });
  const auto is_known = [&](const iptables::PublishedPort& port) { return known.contains(comparable(port)); };
  orphans.erase(std::remove_if(orphans.begin(), orphans.end(), is_known), orphans.end());
  if (!orphans.empty()) table.withdraw(orphans);
  report.elements += orphans.size();
  for (const std::string& chain : table.list_network_chains()) {
    if (chains.contains(chain)) continue;
    table.remove_network_chain(chain);
    ++report.elements;
  }
  if (chains.empty()) table.remove_table();
}

void collect_networks(Host& host, const std::optional<std::string>& network, GcReport& report) {
  std::vector<ipam::NetworkRecord> networks;
  host.live().read([&](const ipam::Transaction& store) {
    for (ipam::NetworkRecord& record : store.list_networks()) {
      if (!network || record.name == *network) networks.push_back(std::move(record));
    }
  });
  for (const ipam::NetworkRecord& record : networks) {
    attempt(report, [&] { remove_network_if_unused(host, record.name); });
    host.live().read([&](const ipam::Transaction& store) {
      if (!store.find_network(record.name)) ++report.networks;
    });
  }
}

}  // namespace

std::size_t collect_dead(Host& host, const std::string& network) {
  std::size_t collected = 0;
  for (const ipam::AttachmentRecord& record : attachments_of(host, network)) {
    const bool has_left = !left_parts(record).empty();
    for (const ipam::AttachmentKey& sharer : has_left ? sharers_of(host, record) : Keys{})
      reclaim_if_dead(host, sharer);
    const bool suspect = has_left || is_unfinished(record) || examine(host, record) == Liveness::kDead;
    if (suspect && collect_one(host, record.key)) ++collected;
  }
  return collected;
}

GcReport collect_garbage(Host& host, const std::optional<std::string>& network) {
  GcReport report;
  for (const ipam::AttachmentRecord& record : attachments_of(host, network)) {
    attempt(report, [&] {
      if (collect_one(host, record.key)) ++report.attachments;
    });
  }
  report.attachments += collect_abandoned(host, report);
  if (!network && has_lost_records(host)) {
    log_warning(
        "links and rules without a record are left alone, because a damaged store was put aside: their "
        "containers may live; remove " +
        host.live().path() + ".damaged-* once those have ended");
  } else if (!network) {
    attempt(report, [&] { collect_orphaned_links(host, report); });
    attempt(report, [&] { collect_orphaned_pins(host); });
    attempt(report, [&] { collect_orphaned_elements(host, report); });
  }
  collect_networks(host, network, report);
  return report;
}

GcReport collect_all_but(Host& host, const std::string& network,
                         const std::set<std::pair<std::string, std::string>>& valid) {
  GcReport report;
  const std::int64_t began = boot_nanoseconds();
  for (const ipam::AttachmentRecord& record : attachments_of(host, network)) {
    if (valid.contains({record.key.container_id, record.key.ifname})) continue;
    attempt(report, [&] {
      HeldLock lock = host.live().try_lock_attachment(record.key);
      std::optional<ipam::AttachmentRecord> latest;
      host.live().read([&](const ipam::Transaction& store) { latest = store.find_attachment(record.key); });
      if (!lock || !latest || latest->created_boot_nanoseconds > began) return;
      const bool detached = detach_or_keep(host, record.key, std::nullopt, std::move(lock));
      report.attachments += detached ? 1 : 0;
    });
  }
  collect_networks(host, network, report);
  return report;
}

}  // namespace netctl::engine
