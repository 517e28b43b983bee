#include "plugins/engine/owner_exit.hpp"

#include <chrono>
#include <set>
#include <thread>

#include "base/error.hpp"
#include "ipam/port_claims.hpp"
#include "plugins/engine/detach.hpp"
#include "plugins/engine/flows.hpp"
#include "plugins/engine/identity.hpp"
#include "plugins/engine/network.hpp"
#include "plugins/engine/plan.hpp"
#include "plugins/engine/sharing.hpp"

namespace netctl::engine {
namespace {

/// Short waits only: the holder may be waiting for a lock that our caller holds.
HeldLock lock_soon(Host& host, const ipam::AttachmentKey& key) {
  constexpr int kAttempts = 200;
  constexpr std::chrono::milliseconds kPause{10};
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (HeldLock lock = host.live().try_lock_attachment(key)) return lock;
    std::this_thread::sleep_for(kPause);
  }
  throw Error(ErrorCode::kTryAgainLater,
              describe(key) + " shares the namespace and is being worked on; try again");
}

void withdraw_ports_of(Host& host, const ipam::AttachmentKey& key) {
  const HeldLock lock = lock_soon(host, key);
  std::optional<ipam::AttachmentRecord> record;
  host.live().read([&](const ipam::Transaction& store) { record = store.find_attachment(key); });
  if (!record || record->ports.empty()) return;
  withdraw_ports(host, published_ports(key, record->ports));
  std::set<IpAddress> addresses;
  for (const ipam::PortRecord& port : record->ports)
    addresses.insert(port.targets.begin(), port.targets.end());
  for (const IpAddress& address : addresses) forget_flows_of(host, address);
  host.live().write([&](ipam::Transaction& store) {
    auto latest = store.find_attachment(key);
    if (!latest) return;
    for (const ipam::PortRecord& port : latest->ports) ipam::release_port(store, port, key);
    latest->ports.clear();
    store.put_attachment(*latest);
  });
}

void release_owner(Host& host, const ipam::AttachmentKey& key) {
  {
    const HeldLock lock = host.live().lock_attachment(key);
    std::vector<std::string> parts;
    host.live().read([&](const ipam::Transaction& store) {
      const auto owner = store.find_attachment(key);
      if (owner && is_abandoned(store, *owner)) parts = left_parts(*owner);
    });
    if (parts.empty()) return;
    for (const std::string& part : parts) detach(host, key, part);
  }
  remove_network_if_unused(host, key.network);
}

}  // namespace

void reconsider_keeping(Host& host, const ipam::AttachmentKey& owner) {
  std::vector<ipam::SharerRecord> sharers;
  host.live().read([&](const ipam::Transaction& store) { sharers = ipam::sharers_of(store, owner); });
  for (const ipam::SharerRecord& sharer : sharers) reclaim_if_dead(host, sharer.sharer);
  release_owner(host, owner);
}

std::vector<ipam::AttachmentKey> owners_of(Host& host, const ipam::AttachmentKey& sharer) {
  std::vector<ipam::AttachmentKey> owners;
  host.live().read([&](const ipam::Transaction& store) {
    const auto record = store.find_attachment(sharer);
    const auto shared = record ? shared_netns(*record) : std::nullopt;
    if (shared) owners = shared->owners;
  });
  return owners;
}

void release_owners(Host& host, const std::vector<ipam::AttachmentKey>& owners) {
  for (const ipam::AttachmentKey& owner : owners) release_owner(host, owner);
}

void withdraw_ports_of_sharers(Host& host, const std::vector<ipam::AttachmentKey>& sharers) {
  for (const ipam::AttachmentKey& sharer : sharers) withdraw_ports_of(host, sharer);
}

}  // namespace netctl::engine
