#include "plugins/engine/lease.hpp"

#include "base/error.hpp"
#include "base/undo_stack.hpp"
#include "plugins/engine/detach.hpp"
#include "plugins/engine/log.hpp"
#include "plugins/engine/network.hpp"
#include "plugins/engine/reserve.hpp"

namespace netctl::engine {
namespace {

/// 0 when the namespace cannot be looked at: it is the main plugin's business to complain about it.
std::uint64_t cookie_of(const std::string& netns_path) {
  try {
    return netlink::Netns::open(netns_path).cookie();
  } catch (const Error&) {
    return 0;
  }
}

}  // namespace

cni::Result lease(Host& host, AttachmentRequest request) {
  UndoStack undo([](const std::string& step, const std::string& reason) {
    log_warning("while taking back a failed ADD: could not " + step + ": " + reason + "; `netctl gc` will");
  });
  undo.on_failure("remove the unused network", [&] { remove_network_if_unused(host, request.key.network); });
  const HeldLock lock = host.live().lock_attachment(request.key);
  Reservation reserved = reserve(host, request, cookie_of(request.netns_path));
  ipam::AttachmentRecord& record = reserved.record;
  undo.on_failure("release the addresses", [&] { detach(host, request.key, request.driver); });
  cni::Result result;
  for (const ipam::LeaseRecord& held : record.leases)
    result.ips.push_back({held.address, held.gateway, std::nullopt});
  result.routes = request.addressing.routes;
  result.dns = request.addressing.dns;
  record.parts[request.driver] = ipam::State::kReady;
  NetworkPlan network;
  network.name = request.key.network;
  network.driver = request.driver;
  for (const ipam::LeaseRecord& held : record.leases) {
    network.pools.push_back(held.pool);
    network.subnets.push_back(held.address.network());
  }
  ensure_network(host, network, reserved.network);
  host.live().write([&record](ipam::Transaction& store) { store.put_attachment(record); });
  undo.commit();
  return result;
}

}  // namespace netctl::engine
