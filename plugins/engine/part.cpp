#include "plugins/engine/part.hpp"

#include "base/error.hpp"
#include "base/undo_stack.hpp"
#include "plugins/engine/detach.hpp"
#include "plugins/engine/log.hpp"
#include "plugins/engine/network.hpp"

namespace netctl::engine {
namespace {

constexpr const char* kStates = "partStates";

/// Writes the part as `adding`. False when an older ADD of it has to be undone before.
bool begin_part(Host& host, const PartRequest& request, const nlohmann::json& state,
                ipam::AttachmentRecord& record) {
  bool begun = false;
  host.live().write([&](ipam::Transaction& store) {
    record = record_to_join(store, request);
    if (record.parts.contains(request.part)) return;
    record.parts[request.part] = ipam::State::kAdding;
    set_part_state(record, request.part, state);
    store.put_attachment(record);
    begun = true;
  });
  return begun;
}

}  // namespace

nlohmann::json part_state(const ipam::AttachmentRecord& record, const std::string& part) {
  const auto states = record.extra.find(kStates);
  if (states == record.extra.end() || !states->is_object()) return nullptr;
  return states->value(part, nlohmann::json());
}

void set_part_state(ipam::AttachmentRecord& record, const std::string& part, nlohmann::json state) {
  record.extra[kStates][part] = std::move(state);
}

void forget_part(ipam::AttachmentRecord& record, const std::string& part) {
  record.parts.erase(part);
  nlohmann::json states = record.extra.value(kStates, nlohmann::json::object());
  states.erase(part);
  record.extra.erase(kStates);
  if (!states.empty()) record.extra[kStates] = std::move(states);
}

bool undo_parts(Host& host, const ipam::AttachmentRecord& record, const std::optional<std::string>& part,
                const RunStep& run) {
  bool all_undone = true;
  for (const bool owners : {false, true}) {
    for (const auto& [name, state] : record.parts) {
      if (part && name != *part) continue;
      all_undone = run([&host, &record, &part_name = name, owners] {
                     const PartKind& kind = part_kind(part_name);
                     if (kind.owns_attachment != owners || kind.undo == nullptr) return;
                     const nlohmann::json own = part_state(record, part_name);
                     if (!own.is_null()) kind.undo(host, record, own);
                   }) &&
                   all_undone;
    }
  }
  return all_undone;
}

ipam::AttachmentRecord record_to_join(const ipam::Transaction& store, const PartRequest& request) {
  if (auto present = store.find_attachment(request.key)) return std::move(*present);
  ipam::AttachmentRecord record;
  record.key = request.key;
  record.netns_path = request.netns_path;
  record.netns_cookie = netlink::Netns::open(request.netns_path).cookie();
  record.mount_namespace = mount_namespace();
  record.container_name = request.container_name;
  record.created_wall_seconds = wall_seconds();
  record.created_boot_nanoseconds = boot_nanoseconds();
  return record;
}

void add_part(Host& host, const PartRequest& request, const nlohmann::json& state, const ApplyPart& apply) {
  const HeldLock lock = host.live().lock_attachment(request.key);
  ipam::AttachmentRecord record;
  if (!begin_part(host, request, state, record)) {
    detach(host, request.key, request.part);
    if (!begin_part(host, request, state, record)) {
      throw Error(ErrorCode::kTryAgainLater,
                  "what an earlier ADD of " + request.part + " left could not be cleared away; try again");
    }
  }
  UndoStack undo([](const std::string& step, const std::string& reason) {
    log_warning("while taking back a failed ADD: could not " + step + ": " + reason + "; `netctl gc` will");
  });
  undo.on_failure("undo the part", [&] { detach(host, request.key, request.part); });
  nlohmann::json made = state;
  apply(record, made);
  record.parts[request.part] = ipam::State::kReady;
  set_part_state(record, request.part, std::move(made));
  host.live().write([&record](ipam::Transaction& store) { store.put_attachment(record); });
  undo.commit();
  log_info("network=" + request.key.network + " container=" + request.key.container_id +
           " if=" + request.key.ifname + " part=" + request.part + " added");
}

}  // namespace netctl::engine
