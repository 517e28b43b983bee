#include "plugins/engine/detach.hpp"

#include <algorithm>
#include <exception>
#include <set>

#include "ipam/pool.hpp"
#include "netlink/link.hpp"
#include "plugins/engine/flows.hpp"
#include "plugins/engine/identity.hpp"
#include "plugins/engine/link_kinds.hpp"
#include "plugins/engine/liveness.hpp"
#include "plugins/engine/log.hpp"
#include "plugins/engine/network.hpp"
#include "plugins/engine/owner_exit.hpp"
#include "plugins/engine/part.hpp"
#include "plugins/engine/ports.hpp"
#include "plugins/engine/sharing.hpp"

namespace netctl::engine {
namespace {

/// Runs every step whatever became of the ones before, and keeps the first reason.
class BestEffort {
 public:
  template <class Step>
  bool run(Step&& step) {
    try {
      step();
      return true;
    } catch (const std::exception& error) {
      if (first_) {
        log_warning(error.what());
      } else {
        first_ = std::current_exception();
      }
      return false;
    }
  }
  void rethrow_first() const {
    if (first_) std::rethrow_exception(first_);
  }

 private:
  std::exception_ptr first_;
};

/// What one call of detach() has to take away, and what is left of the record afterwards.
struct Undoing {
  ipam::AttachmentRecord record;  ///< what remains
  std::vector<ipam::PortRecord> ports;
  std::vector<ipam::LeaseRecord> leases;
  std::string host_ifname;
  bool translated = false;  ///< flows of the container may have been translated
  std::vector<ipam::AttachmentKey> sharers;
  bool kept = false;  ///< marked as left, nothing is to be taken away yet
};

enum class Sharers { kRespected, kIgnored };

bool owns_attachment(const std::optional<std::string>& part) {
  return !part || part_kind(*part).owns_attachment;
}

/// In the transaction that marks it: whoever begins to share meanwhile sees that, or is seen here.
std::optional<Undoing> begin(Host& host, const ipam::AttachmentKey& key,
                             const std::optional<std::string>& part, Sharers respect) {
  std::optional<Undoing> undoing;
  host.live().write([&](ipam::Transaction& store) {
    std::optional<ipam::AttachmentRecord> found = store.find_attachment(key);
    if (!found || (part && !found->parts.contains(*part))) return;
    undoing.emplace();
    for (const ipam::SharerRecord& sharer : sharers_in(store, *found)) {
      undoing->sharers.push_back(sharer.sharer);
      undoing->kept |= respect == Sharers::kRespected && sharer.keep;
    }
    for (auto& [name, state] : found->parts) {
      if (part && name != *part) continue;
      if (undoing->kept) {
        mark_left(*found, name);
      } else {
        state = ipam::State::kDeleting;
      }
    }
    store.put_attachment(*found);
    const auto network = store.find_network(key.network);
    const bool has_policy =
        network && network->policy.is_object() && !policy_from_json(network->policy).is_empty();
    undoing->translated = has_policy || !found->ports.empty();
    undoing->record = std::move(*found);
  });
  return undoing;
}

/// Which ports lose their last claimant; the claims themselves are released only when the elements are gone.
std::vector<ipam::PortRecord> ports_to_withdraw(const ipam::AttachmentRecord& record,
                                                const std::optional<std::string>& part) {
  std::vector<ipam::PortRecord> ports;
  for (const ipam::PortRecord& port : record.ports) {
    const bool last =
        port.claimed_by.size() <= 1 && (port.claimed_by.empty() || port.claimed_by.front() == part);
    if (!part || last) ports.push_back(port);
  }
  return ports;
}

void forget_flows(Host& host, const Undoing& undoing) {
  std::set<IpAddress> addresses;
  for (const ipam::LeaseRecord& lease : undoing.leases) addresses.insert(lease.address.address);
  for (const ipam::PortRecord& port : undoing.ports)
    addresses.insert(port.targets.begin(), port.targets.end());
  for (const IpAddress& address : addresses) forget_flows_of(host, address);
}

void delete_host_link(Host& host, const ipam::AttachmentKey& key, const std::string& ifname, bool recorded) {
  const auto link = netlink::find_link(host.route(), ifname);
  if (!link) return;
  // A crash between making the link and naming it leaves it without an alias; then the record proves whose it is.
  const bool ours = digest_in_alias(link->alias) == key_digest(key) || (recorded && link->alias.empty());
  if (ours) host.route().transact(netlink::delete_link(link->index));
}

/// The record as it will be when this call is through.
std::optional<ipam::AttachmentRecord> left_of(const Undoing& undoing,
                                              const std::optional<std::string>& part) {
  if (!part) return std::nullopt;
  ipam::AttachmentRecord left = undoing.record;
  forget_part(left, *part);
  const bool link_goes = owns_attachment(part) && policy_link(left) == undoing.host_ifname;
  if (left.parts.empty() || link_goes) return std::nullopt;
  left.ports.erase(std::remove_if(left.ports.begin(), left.ports.end(),
                                  [&](const ipam::PortRecord& port) {
                                    return std::find(undoing.ports.begin(), undoing.ports.end(), port) !=
                                           undoing.ports.end();
                                  }),
                   left.ports.end());
  return left;
}

/// Who shares the namespace publishes on its owner's address. One that leaves, too, needs nothing any more.
std::vector<iptables::PublishedPort> ports_of_kin(const ipam::Transaction& store,
                                                  const ipam::AttachmentRecord& record) {
  const std::optional<SharedNetns> shared = shared_netns(record);
  std::set<ipam::AttachmentKey> kin;
  for (const ipam::AttachmentKey& owner : shared ? shared->owners : std::vector{record.key}) {
    kin.insert(owner);
    for (const ipam::SharerRecord& sharer : ipam::sharers_of(store, owner)) kin.insert(sharer.sharer);
  }
  kin.erase(record.key);
  std::vector<iptables::PublishedPort> ports;
  for (const ipam::AttachmentKey& key : kin) {
    auto other = store.find_attachment(key);
    if (!other) continue;
    std::erase_if(other->ports, [&other](const ipam::PortRecord& port) {
      return std::none_of(port.claimed_by.begin(), port.claimed_by.end(), [&other](const std::string& part) {
        const auto state = other->parts.find(part);
        return state != other->parts.end() && state->second != ipam::State::kDeleting;
      });
    });
    for (iptables::PublishedPort& port : published_ports(key, other->ports)) ports.push_back(std::move(port));
  }
  return ports;
}

void withdraw(Host& host, const Undoing& undoing) {
  const std::vector<iptables::PublishedPort> ports = published_ports(undoing.record.key, undoing.ports);
  if (undoing.sharers.empty() && share_part(undoing.record) == nullptr) {
    withdraw_ports(host, ports);
  } else {
    withdraw_ports_beside(host, ports, [&undoing](const ipam::Transaction& store) {
      return ports_of_kin(store, undoing.record);
    });
  }
}

void finish(Host& host, const Undoing& undoing, const ipam::AttachmentKey& key,
            const std::optional<std::string>& part) {
  host.live().write([&](ipam::Transaction& store) {
    std::optional<ipam::AttachmentRecord> record = store.find_attachment(key);
    if (!record) return;
    if (part) {
      release_ports(store, *record, *part);
      forget_part(*record, *part);
    } else {
      for (const ipam::PortRecord& port : record->ports) ipam::release_port(store, port, key);
      record->ports.clear();
      record->parts.clear();
    }
    ipam::release(store, undoing.leases, key, boot_nanoseconds());
    if (record->parts.empty()) {
      for (const ipam::PortRecord& port : record->ports) ipam::release_port(store, port, key);
      ipam::release(store, record->leases, key, boot_nanoseconds());
      store.erase_attachment(key);
      return;
    }
    if (owns_attachment(part)) {
      record->leases.clear();
      record->host_ifname.clear();
    }
    store.put_attachment(*record);
  });
}

/// False when it is kept for its sharers.
bool run_detach(Host& host, const ipam::AttachmentKey& key, const std::optional<std::string>& part,
                Sharers respect) {
  std::optional<Undoing> undoing = begin(host, key, part, respect);
  if (!undoing) {
    if (owns_attachment(part)) delete_host_link(host, key, host_ifname(key), false);
    return true;
  }
  if (undoing->kept) return false;
  undoing->ports = ports_to_withdraw(undoing->record, part);
  if (owns_attachment(part)) {
    undoing->leases = undoing->record.leases;
    undoing->host_ifname = undoing->record.host_ifname;
  }
  BestEffort steps;
  bool gone = steps.run([&] { withdraw(host, *undoing); });
  if (owns_attachment(part)) {
    gone = steps.run([&] { withdraw_ports_of_sharers(host, undoing->sharers); }) && gone;
  }
  if (undoing->translated) gone = steps.run([&] { forget_flows(host, *undoing); }) && gone;
  gone =
      undo_parts(host, undoing->record, part, [&steps](const auto& step) { return steps.run(step); }) && gone;
  if (!undoing->host_ifname.empty()) {
    gone = steps.run([&] { delete_host_link(host, key, undoing->host_ifname, true); }) && gone;
    // Packets that were on their way while the link went may have made entries anew.
    if (undoing->translated) gone = steps.run([&] { forget_flows(host, *undoing); }) && gone;
  }
  if (undoing->translated)
    gone = steps.run([&] { withdraw_link(host, undoing->record, left_of(*undoing, part)); }) && gone;
  if (gone) steps.run([&] { finish(host, *undoing, key, part); });
  steps.rethrow_first();
  log_info("network=" + key.network + " container=" + key.container_id + " if=" + key.ifname + " detached" +
           (part ? " part=" + *part : ""));
  return true;
}

bool is_recorded(Host& host, const ipam::AttachmentKey& key) {
  bool recorded = false;
  host.live().read(
      [&](const ipam::Transaction& store) { recorded = store.find_attachment(key).has_value(); });
  return recorded;
}

void take_back_unrecorded(Host& host, const ipam::AttachmentKey& key, const std::string& netns_path) {
  const HeldLock lock = host.live().lock_attachment(key);
  if (is_recorded(host, key)) return;  // an ADD was faster
  std::optional<Container> container = enter_if_there(netns_path);
  if (container) links::undo_unrecorded(host, *container, key);
}

}  // namespace

void detach(Host& host, const ipam::AttachmentKey& key, const std::optional<std::string>& part) {
  run_detach(host, key, part, Sharers::kIgnored);
}

bool detach_or_keep(Host& host, const ipam::AttachmentKey& key, const std::optional<std::string>& part,
                    HeldLock lock) {
  if (!lock) lock = host.live().lock_attachment(key);
  std::vector<ipam::AttachmentKey> owners;
  if (!part || *part == kSharePart) owners = owners_of(host, key);
  const bool detached = run_detach(host, key, part, Sharers::kRespected);
  lock.release();
  if (!detached) reconsider_keeping(host, key);
  release_owners(host, owners);
  return detached;
}

bool detach_part(Host& host, const ipam::AttachmentKey& key, const std::string& part) {
  const bool detached = detach_or_keep(host, key, part);
  remove_network_if_unused(host, key.network);
  return detached;
}

bool detach_main_part(Host& host, const ipam::AttachmentKey& key, const std::string& part,
                      const std::string& netns_path) {
  const bool recorded = is_recorded(host, key);
  const bool detached = detach_part(host, key, part);
  if (!recorded && !netns_path.empty()) take_back_unrecorded(host, key, netns_path);
  return detached;
}

bool reclaim_if_dead(Host& host, const ipam::AttachmentKey& key) {
  const HeldLock lock = host.live().try_lock_attachment(key);
  if (!lock) return false;
  std::optional<ipam::AttachmentRecord> record;
  bool abandoned = false;
  host.live().read([&](const ipam::Transaction& store) {
    record = store.find_attachment(key);
    abandoned = record && is_abandoned(store, *record);
  });
  if (!record) return true;
  if (!abandoned && !is_unfinished(*record) && examine(host, *record) != Liveness::kDead) return false;
  detach(host, key, std::nullopt);
  return true;
}

}  // namespace netctl::engine
