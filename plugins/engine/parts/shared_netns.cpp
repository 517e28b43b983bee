#include "plugins/engine/parts/shared_netns.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "netlink/address.hpp"
#include "netlink/netns_mount.hpp"
#include "plugins/cni/version.hpp"
#include "plugins/engine/identity.hpp"
#include "plugins/engine/log.hpp"
#include "plugins/engine/netns_pin.hpp"
#include "plugins/engine/sharing.hpp"

namespace netctl::engine::parts {
namespace {

/// From here on a bare file is our doing, and not the runtime's.
void announce_restoring(Host& host, const ipam::AttachmentRecord& record, SharedNetns shared) {
  shared.phase = SharePhase::kRestoring;
  host.live().write([&](ipam::Transaction& store) {
    auto latest = store.find_attachment(record.key);
    const char* part = latest ? share_part(*latest) : nullptr;
    if (part == nullptr) return;
    set_part_state(*latest, part, shared.to_json());
    store.put_attachment(*latest);
  });
}

void put_back(Host& host, const ipam::AttachmentRecord& record, const SharedNetns& shared) {
  const auto place = netlink::NetnsMount::find(record.netns_path);
  const auto own = pinned(shared.pin);
  if (!place || !own || own->cookie() != shared.own_cookie) return;
  if (place->cookie() == record.netns_cookie) {
    if (shared.phase == SharePhase::kBound) announce_restoring(host, record, shared);
    place->replace(*own, netlink::Netns::open(record.netns_path));
  } else if (!place->is_mounted() && shared.phase != SharePhase::kBound) {
    place->bind(*own);
  }
}

/// The owner may get more; what the sharer was told of has to stay.
void compare_addresses(const ipam::AttachmentRecord& record, std::vector<std::string>& findings) {
  std::optional<netlink::Socket> route;
  netlink::Netns::open(record.netns_path).run([&route] {
    route = netlink::Socket::open(netlink::Bus::kRoute);
  });
  const std::vector<netlink::LinkAddress> present = netlink::list_global_addresses(*route);
  for (const cni::ResultIp& ip : cni::Result::from_json(record.result, cni::kNewestVersion).ips) {
    const bool there =
        std::any_of(present.begin(), present.end(),
                    [&ip](const netlink::LinkAddress& address) { return address.address == ip.address; });
    if (!there)
      findings.push_back("address " + ip.address.to_string() + " is missing in the shared namespace");
  }
}

}  // namespace

void restore_netns(Host& host, const ipam::AttachmentRecord& record, const nlohmann::json& state) {
  const SharedNetns shared = SharedNetns::from_json(state);
  try {
    put_back(host, record, shared);
  } catch (const Error& error) {
    // What stands at the path is nothing that a runtime could have bound: not ours to mend, and no reason to stay for ever.
    if (error.code() != ErrorCode::kInvalidNetns) throw;
    log_warning(error.message());
  }
  unpin(shared.pin);
  host.live().write([&](ipam::Transaction& store) {
    for (const ipam::AttachmentKey& owner : shared.owners) ipam::erase_sharer(store, owner, record.key);
  });
}

std::vector<std::string> find_netns_drift(Host& host, const ipam::AttachmentRecord& record,
                                          const nlohmann::json& state) {
  const SharedNetns shared = SharedNetns::from_json(state);
  const std::string whose = shared.target.empty() ? "the host's" : "that of " + shared.target;
  std::vector<std::string> findings;
  const auto place = netlink::NetnsMount::find(record.netns_path);
  if (!place || place->cookie() != record.netns_cookie) {
    findings.push_back("the network namespace at " + record.netns_path + " is not " + whose + " any more");
  } else if (!shared.target.empty() && record.result.is_object()) {
    compare_addresses(record, findings);
  }
  const auto own = pinned(shared.pin);
  if (!own || own->cookie() != shared.own_cookie) {
    findings.push_back("the container's own network namespace is not kept at " + shared.pin + " any more");
  }
  host.live().read([&](const ipam::Transaction& store) {
    for (const ipam::AttachmentKey& owner : shared.owners) {
      const auto present = store.find_attachment(owner);
      if (present && present->netns_cookie == record.netns_cookie) continue;
      findings.push_back(describe(owner, shared.owner_name) +
                         ", whose namespace is shared, has left network " + owner.network);
    }
  });
  return findings;
}

}  // namespace netctl::engine::parts
