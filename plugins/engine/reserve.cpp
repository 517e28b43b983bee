#include "plugins/engine/reserve.hpp"

#include <unistd.h>

#include <algorithm>
#include <set>

#include "base/error.hpp"
#include "ipam/neighbours.hpp"
#include "plugins/engine/addressing.hpp"
#include "plugins/engine/detach.hpp"
#include "plugins/engine/gc.hpp"
#include "plugins/engine/identity.hpp"
#include "plugins/engine/link_kinds.hpp"
#include "plugins/engine/liveness.hpp"
#include "plugins/engine/log.hpp"
#include "plugins/engine/overlay_network.hpp"
#include "plugins/engine/ports.hpp"
#include "plugins/engine/sharing.hpp"

namespace netctl::engine {
namespace {

ipam::AttachmentRecord new_record(const AttachmentRequest& request, std::uint64_t netns_cookie) {
  ipam::AttachmentRecord record;
  record.key = request.key;
  record.netns_path = request.netns_path;
  record.netns_cookie = netns_cookie;
  record.mount_namespace = mount_namespace();
  record.container_name = request.container_name;
  record.labels = request.labels;
  record.runtime = request.runtime;
  if (!request.aliases.empty()) record.extra["aliases"] = request.aliases;
  record.created_wall_seconds = wall_seconds();
  record.created_boot_nanoseconds = boot_nanoseconds();
  return record;
}

[[noreturn]] void throw_already_attached(const ipam::AttachmentRecord& record) {
  throw Error(ErrorCode::kAlreadyAttached,
              describe(record.key, record.container_name) + " is attached to network " + record.key.network +
                  " already (duplicate allocation is not allowed); call DEL first");
}

bool is_complete(const ipam::AttachmentRecord& record, const std::string& part, std::uint64_t netns_cookie) {
  const auto found = record.parts.find(part);
  return found != record.parts.end() && found->second == ipam::State::kReady &&
         record.netns_cookie == netns_cookie;
}

/// What one try of the transaction needs; worked out before it, so that the store's lock is held for no longer than needed.
struct Wishes {
  std::optional<ipam::PoolConfig> pool;
  ipam::AllocationRequest allocation;
  std::vector<ipam::LeaseRecord> given;  ///< by the request itself, or by another plugin's IPAM
};

/// They lead to the first address of each family.
void claim_wanted_ports(ipam::Transaction& store, const AttachmentRequest& request,
                        ipam::AttachmentRecord& record) {
  std::vector<IpAddress> targets;
  for (const ipam::LeaseRecord& lease : record.leases) {
    const bool first_of_family = std::none_of(targets.begin(), targets.end(), [&](const IpAddress& target) {
      return target.family() == lease.address.address.family();
    });
    if (first_of_family) targets.push_back(lease.address.address);
  }
  claim_ports(store, record, port_records(request.endpoint.ports, targets, request.driver, true),
              !request.endpoint.caller_holds_ports);
}

void fill(Host& host, ipam::Transaction& store, const AttachmentRequest& request, const Wishes& wishes,
          ipam::AttachmentRecord& record) {
  record.parts[request.driver] = ipam::State::kAdding;
  if (wishes.pool) {
    const ipam::IsDead is_dead = [&](const ipam::AttachmentKey& holder) {
      const auto other = store.find_attachment(holder);
      return !other || examine(host, *other) == Liveness::kDead;
    };
    record.leases = ipam::allocate(store, *wishes.pool, wishes.allocation, is_dead);
    add_paired_leases(request, record.leases);
  } else if (!wishes.given.empty()) {
    record.leases = wishes.given;
  }
  if (!asks_delegate_behind_link(request)) claim_wanted_ports(store, request, record);
  if (request.makes_link) record_link(request, record);
  store.put_attachment(record);
}

constexpr std::size_t kNeighbours = 2;

/// Two system calls say of most attachments that they live; only the others are worth a proof.
bool may_be_dead(Host& host, const ipam::AttachmentRecord& record) {
  if (!record.host_ifname.empty()) return !host.route().find_link_index(record.host_ifname);
  return !record.netns_path.empty() && ::access(record.netns_path.c_str(), F_OK) != 0;
}

/// Containers that ended without a DEL must not wait for a full pool or for `netctl gc`.
void reclaim_dead(Host& host, const std::vector<ipam::AttachmentRecord>& neighbours) {
  for (const ipam::AttachmentRecord& neighbour : neighbours) {
    if (!may_be_dead(host, neighbour)) continue;
    try {
      if (reclaim_if_dead(host, neighbour.key)) {
        log_info("network=" + neighbour.key.network + " container=" + neighbour.key.container_id +
                 " was gone without a DEL and is collected");
      }
    } catch (const Error& error) {
      log_warning("could not collect a dead attachment: " + error.message());  // gc will say it again
    }
  }
}

enum class Outcome { kReserved, kUndoOldFirst };

Outcome try_reserve(Host& host, const AttachmentRequest& request, const Wishes& wishes, Reservation& reserved,
                    std::vector<ipam::AttachmentRecord>& neighbours) {
  ipam::AttachmentRecord& record = reserved.record;
  Outcome outcome = Outcome::kReserved;
  host.live().write([&](ipam::Transaction& store) {
    ipam::AttachmentRecord next = record;
    if (const auto present = store.find_attachment(request.key)) {
      const bool has_left = !left_parts(*present).empty();
      if (!has_left && is_complete(*present, request.driver, record.netns_cookie))
        throw_already_attached(*present);
      const bool same_container = present->netns_cookie == record.netns_cookie;
      if (present->parts.contains(request.driver) || has_left || !same_container || is_unfinished(*present)) {
        outcome = Outcome::kUndoOldFirst;
        return;
      }
      refuse_sharer(*present, request.driver);
      next = *present;
    }
    fill(host, store, request, wishes, next);
    reserved.network = store.find_network(request.key.network);
    neighbours = ipam::next_attachments(store, request.key, kNeighbours);
    record = std::move(next);
  });
  return outcome;
}

Wishes make_wishes(Host& host, AttachmentRequest& request) {
  Wishes wishes;
  if (request.addressing.kind == Addressing::kPool) {
    wishes.pool = resolve_pool(host, request);
    wishes.allocation = allocation_request(host, request);
  }
  if (request.addressing.kind == Addressing::kStatic) {
    wishes.given = request.addressing.fixed;
    if (wishes.given.empty()) {
      throw Error(ErrorCode::kInvalidConfig,
                  "ipam of type static names no address; add ipam.addresses, or let the runtime give ips");
    }
  }
  return wishes;
}

/// Who is dead and holds an address that is asked for goes with all that it has: the ports that it published would lead to
/// the next container otherwise.
void clear_dead_holders(Host& host, const AttachmentRequest& request, const Wishes& wishes) {
  std::set<ipam::AttachmentKey> holders;
  const auto note_holders = [&](const ipam::Transaction& store, const std::vector<IpAddress>& addresses) {
    for (const IpAddress& address : addresses) {
      const auto holder = ipam::find_holder(store, wishes.pool->id, address);
      if (holder && *holder != request.key) holders.insert(*holder);
    }
  };
  const ipam::AllocationRequest& asked = wishes.allocation;
  if (!wishes.pool || (asked.wanted.empty() && asked.reserved_for_owner.empty())) return;
  host.live().read([&](const ipam::Transaction& store) {
    note_holders(store, asked.wanted);
    note_holders(store, asked.reserved_for_owner);
  });
  for (const ipam::AttachmentKey& holder : holders) reclaim_if_dead(host, holder);
}

}  // namespace

void refuse_duplicate(Host& host, const AttachmentRequest& request, std::uint64_t netns_cookie) {
  const bool takes_device = request.makes_link && std::holds_alternative<HostDevice>(request.link);
  // Otherwise reserve() sees it in the same transaction.
  if (request.addressing.kind != Addressing::kDelegate && !takes_device) return;
  bool is_present = false;
  host.live().read([&](const ipam::Transaction& store) {
    const auto present = store.find_attachment(request.key);
    const bool has_left = present && !left_parts(*present).empty();
    if (present && !has_left && is_complete(*present, request.driver, netns_cookie))
      throw_already_attached(*present);
    is_present = present.has_value();
  });
  // The device has to be back before it can be looked for.
  if (is_present && takes_device) detach(host, request.key, std::nullopt);
}

bool asks_delegate_behind_link(const AttachmentRequest& request) {
  const bool independent =
      std::holds_alternative<BridgePort>(request.link) || std::holds_alternative<Macvlan>(request.link);
  return request.addressing.kind == Addressing::kDelegate && request.makes_link && independent &&
         !request.endpoint.handed_over;
}

Reservation reserve(Host& host, AttachmentRequest& request, std::uint64_t netns_cookie) {
  Wishes wishes = make_wishes(host, request);
  if (request.addressing.kind == Addressing::kDelegate && !asks_delegate_behind_link(request))
    wishes.given = lease_from_delegate(request);
  clear_dead_holders(host, request, wishes);
  bool may_collect = true;
  constexpr int kAttempts = 64;  // each one more means that something dead was cleared away
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    Reservation reserved{new_record(request, netns_cookie), std::nullopt};
    try {
      std::vector<ipam::AttachmentRecord> neighbours;
      if (try_reserve(host, request, wishes, reserved, neighbours) == Outcome::kReserved) {
        reclaim_dead(host, neighbours);
        return reserved;
      }
      detach(host, request.key, std::nullopt);
    } catch (const PortHeld& held) {
      if (!reclaim_if_dead(host, held.holder())) throw;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kNoFreeAddress || !may_collect) throw;
      may_collect = false;
      if (collect_dead(host, request.key.network) == 0) throw;
    }
  }
  throw Error(ErrorCode::kTryAgainLater,
              "the attachment could not be reserved while others come and go; try again");
}

void add_delegated_leases(Host& host, AttachmentRequest& request, Reservation& reserved) {
  const std::vector<ipam::LeaseRecord> leases = lease_from_delegate(request);
  constexpr int kAttempts = 64;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    try {
      host.live().write([&](ipam::Transaction& store) {
        ipam::AttachmentRecord record = store.find_attachment(request.key).value_or(reserved.record);
        record.leases = leases;
        claim_wanted_ports(store, request, record);
        store.put_attachment(record);
        reserved.record = std::move(record);
      });
      return;
    } catch (const PortHeld& held) {
      if (!reclaim_if_dead(host, held.holder())) throw;
    }
  }
  throw Error(ErrorCode::kTryAgainLater,
              "the ports could not be claimed while others come and go; try again");
}

ipam::AttachmentRecord rehearse_reserve(Host& host, AttachmentRequest& request) {
  struct ThrowAway {};
  const Wishes wishes = make_wishes(host, request);
  ipam::AttachmentRecord record = new_record(request, 0);
  try {
    host.live().write([&](ipam::Transaction& store) {
      store.erase_attachment(request.key);
      fill(host, store, request, wishes, record);
      throw ThrowAway{};
    });
  } catch (const ThrowAway&) {
    return record;
  }
  return record;
}

}  // namespace netctl::engine
