#include "plugins/engine/share.hpp"

#include "base/error.hpp"
#include "base/undo_stack.hpp"
#include "netlink/netns_mount.hpp"
#include "plugins/cni/version.hpp"
#include "plugins/engine/detach.hpp"
#include "plugins/engine/identity.hpp"
#include "plugins/engine/liveness.hpp"
#include "plugins/engine/log.hpp"
#include "plugins/engine/netns_pin.hpp"
#include "plugins/engine/netns_view.hpp"
#include "plugins/engine/part.hpp"
#include "plugins/engine/share_target.hpp"
#include "plugins/engine/sharing.hpp"

namespace netctl::engine {
namespace {

/// The container's own namespace, and the place where the runtime bound it.
struct OwnNetns {
  netlink::Netns netns;
  std::uint64_t cookie = 0;
  netlink::NetnsMount place;
};

[[noreturn]] void refuse_running(const std::string& path, const ShareTarget& target) {
  const bool host = target.path.empty();
  throw Error(
      ErrorCode::kInvalidNetns,
      "CNI_NETNS is " + path +
          ", which no runtime has bound to a file of its own: what runs in it already cannot be moved to "
          "another namespace. Let it start there instead: `ctr run " +
          (host ? std::string("--net-host") : "--with-ns network:" + target.path) + "`, for runc " +
          (host ? std::string("no network namespace") : "the path " + target.path) +
          " in config.json; or use a runtime that binds the namespace first (containerd's CRI, CRI-O, "
          "Podman)",
      path);
}

OwnNetns open_own(Host& host, const ShareRequest& request, const ShareTarget& target) {
  netlink::Netns netns = netlink::Netns::open(request.netns_path);
  const std::uint64_t cookie = netns.cookie();
  if (cookie == host.netns_cookie()) {
    throw Error(
        ErrorCode::kInvalidNetns,
        "CNI_NETNS names the network namespace that the plugin itself runs in; pass the container's own",
        request.netns_path);
  }
  if (cookie == target.cookie) {
    throw Error(ErrorCode::kInvalidNetns,
                "CNI_NETNS is the namespace that is to be shared; pass one that was made for this container",
                request.netns_path);
  }
  auto place = netlink::NetnsMount::find(request.netns_path);
  if (!place || place->cookie() != cookie) refuse_running(request.netns_path, target);
  return {std::move(netns), cookie, std::move(*place)};
}

/// An earlier ADD of the same attachment that died, or whose container is gone, is undone first.
void clear_old(Host& host, const ShareRequest& request) {
  std::optional<ipam::AttachmentRecord> present;
  host.live().read([&](const ipam::Transaction& store) { present = store.find_attachment(request.key); });
  if (!present) return;
  const auto part = present->parts.find(request.part);
  const bool complete = part != present->parts.end() && part->second == ipam::State::kReady;
  if (complete && examine(host, *present) == Liveness::kAlive) {
    throw Error(ErrorCode::kAlreadyAttached, describe(request.key, present->container_name) +
                                                 " is attached to network " + request.key.network +
                                                 " already; call DEL first");
  }
  detach(host, request.key, std::nullopt);
}

SharedNetns state_of(Host& host, const ShareRequest& request, const ShareTarget& target,
                     const OwnNetns& own) {
  SharedNetns shared;
  shared.pin = pin_path(host.netns_cookie(), request.key);
  shared.own_cookie = own.cookie;
  if (request.part == kSharePart) shared.target = request.target;
  shared.owners = target.owners;
  shared.owner_name = target.owner_name;
  shared.keep = request.keep_owner;
  return shared;
}

ipam::AttachmentRecord new_record(const ShareRequest& request, const ShareTarget& target,
                                  const SharedNetns& shared) {
  ipam::AttachmentRecord record;
  record.key = request.key;
  record.parts[request.part] = ipam::State::kAdding;
  record.netns_path = request.netns_path;
  record.netns_cookie = target.cookie;
  record.mount_namespace = mount_namespace();
  record.container_name = request.container_name;
  record.labels = request.labels;
  record.runtime = request.runtime;
  if (!request.aliases.empty()) record.extra["aliases"] = request.aliases;
  record.created_wall_seconds = wall_seconds();
  record.created_boot_nanoseconds = boot_nanoseconds();
  std::vector<std::string> discarded;
  for (const cni::PortMapping& port : request.discarded_ports) discarded.push_back(describe(port));
  note_discarded_ports(record, discarded);
  set_part_state(record, request.part, shared.to_json());
  return record;
}

/// The owner may have begun to leave since it was found.
void write_begin(Host& host, const ShareRequest& request, const ipam::AttachmentRecord& record,
                 const SharedNetns& shared) {
  host.live().write([&](ipam::Transaction& store) {
    for (const ipam::AttachmentKey& key : shared.owners) {
      const auto owner = store.find_attachment(key);
      const bool usable = owner && owner->netns_cookie == record.netns_cookie && !is_unfinished(*owner) &&
                          left_parts(*owner).empty();
      if (!usable) {
        throw Error(ErrorCode::kTryAgainLater,
                    describe(key, shared.owner_name) + " is just being attached or detached; try again");
      }
      ipam::put_sharer(store, {key, request.key, record.netns_cookie, shared.keep});
    }
    store.put_attachment(record);
  });
}

void take_place(const OwnNetns& own, const ShareTarget& target, const SharedNetns& shared) {
  pin(shared.pin, own.netns);
  own.place.replace(target.netns, own.netns);
  if (own.place.cookie() == target.cookie) return;
  throw Error(ErrorCode::kTryAgainLater,
              "the network namespace at CNI_NETNS was changed by somebody else at the same time; try again");
}

cni::Result look_inside(const ShareTarget& target, const ShareRequest& request) {
  std::optional<netlink::Socket> route;
  target.netns.run([&route] { route = netlink::Socket::open(netlink::Bus::kRoute); });
  cni::Result result = describe_netns(*route, request.netns_path);
  result.dns = request.dns.is_empty() ? target.dns : request.dns;
  return result;
}

}  // namespace

std::string describe(const cni::PortMapping& mapping) {
  std::string text = std::to_string(mapping.host_port) + "->" + std::to_string(mapping.container_port);
  if (mapping.count > 1) text += " (" + std::to_string(mapping.count) + " ports)";
  return text + "/" + mapping.protocol;
}

cni::Result share(Host& host, const ShareRequest& request) {
  const HeldLock lock = host.live().lock_attachment(request.key);
  clear_old(host, request);
  const ShareTarget target = request.part == kHostPart
                                 ? host_target()
                                 : find_share_target(host, request.target, request.allow_host, request.key);
  const OwnNetns own = open_own(host, request, target);
  SharedNetns shared = state_of(host, request, target, own);
  ipam::AttachmentRecord record = new_record(request, target, shared);
  UndoStack undo([](const std::string& step, const std::string& reason) {
    log_warning("while taking back a failed ADD: could not " + step + ": " + reason + "; `netctl gc` will");
  });
  undo.on_failure("put the namespace back", [&] { detach(host, request.key, std::nullopt); });
  write_begin(host, request, record, shared);
  take_place(own, target, shared);
  cni::Result result = look_inside(target, request);
  shared.phase = SharePhase::kBound;
  record.parts[request.part] = ipam::State::kReady;
  set_part_state(record, request.part, shared.to_json());
  record.result = result.to_json(cni::kNewestVersion);
  host.live().write([&record](ipam::Transaction& store) { store.put_attachment(record); });
  undo.commit();
  log_info("network=" + request.key.network + " container=" + request.key.container_id +
           " if=" + request.key.ifname + " shares " +
           (shared.target.empty() ? "the host's namespace" : "that of " + shared.target));
  return result;
}

}  // namespace netctl::engine
