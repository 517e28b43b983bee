#include "plugins/engine/part.hpp"

#include "base/error.hpp"
#include "base/undo_stack.hpp"
#include "plugins/engine/detach.hpp"
#include "plugins/engine/log.hpp"
#include "plugins/engine/network.hpp"
#include "plugins/engine/sharing.hpp"

namespace netctl::engine {
namespace {

constexpr const char* kStates = "partStates";

std::optional<ipam::AttachmentRecord> present_record(Host& host, const ipam::AttachmentKey& key) {
  std::optional<ipam::AttachmentRecord> record;
  host.live().read([&](const ipam::Transaction& store) { record = store.find_attachment(key); });
  return record;
}

ipam::AttachmentRecord begin_part(Host& host, const PartRequest& request, const nlohmann::json& state) {
  ipam::AttachmentRecord record;
  host.live().write([&](ipam::Transaction& store) {
    record = record_to_join(store, request);
    record.parts[request.part] = ipam::State::kAdding;
    set_part_state(record, request.part, state);
    store.put_attachment(record);
  });
  return record;
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

void clear_other_container(Host& host, const PartRequest& request) {
  const auto present = present_record(host, request.key);
  if (!present || present->netns_cookie == 0) return;
  if (present->netns_cookie == netlink::Netns::open(request.netns_path).cookie()) return;
  detach(host, request.key, std::nullopt);
}

void add_part(Host& host, const PartRequest& request, const PartSteps& steps) {
  const HeldLock lock = host.live().lock_attachment(request.key);
  clear_other_container(host, request);
  const auto present = present_record(host, request.key);
  if (present) refuse_sharer(*present, request.part);
  if (present && present->parts.contains(request.part)) detach(host, request.key, request.part);
  nlohmann::json state = steps.prepare();
  ipam::AttachmentRecord record = begin_part(host, request, state);
  UndoStack undo([](const std::string& step, const std::string& reason) {
    log_warning("while taking back a failed ADD: could not " + step + ": " + reason + "; `netctl gc` will");
  });
  undo.on_failure("undo the part", [&] { detach(host, request.key, request.part); });
  steps.apply(record, state);
  record.parts[request.part] = ipam::State::kReady;
  set_part_state(record, request.part, std::move(state));
  host.live().write([&record](ipam::Transaction& store) { store.put_attachment(record); });
  undo.commit();
  log_info("network=" + request.key.network + " container=" + request.key.container_id +
           " if=" + request.key.ifname + " part=" + request.part + " added");
}

}  // namespace netctl::engine
