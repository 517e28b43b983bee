#include "plugins/engine/sharing.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "plugins/engine/identity.hpp"
#include "plugins/engine/part.hpp"

namespace netctl::engine {
namespace {

constexpr const char* kLeft = "left";
constexpr const char* kDiscardedPorts = "discardedPorts";

nlohmann::json key_json(const ipam::AttachmentKey& key) {
  return {{"network", key.network}, {"containerID", key.container_id}, {"ifname", key.ifname}};
}

ipam::AttachmentKey key_from(const nlohmann::json& json) {
  return {json.at("network").get<std::string>(), json.at("containerID").get<std::string>(),
          json.at("ifname").get<std::string>()};
}

std::string phase_text(SharePhase phase) {
  switch (phase) {
    case SharePhase::kBinding:
      return "binding";
    case SharePhase::kBound:
      return "bound";
    case SharePhase::kRestoring:
      break;
  }
  return "restoring";
}

SharePhase phase_from(const std::string& text) {
  if (text == "bound") return SharePhase::kBound;
  return text == "binding" ? SharePhase::kBinding : SharePhase::kRestoring;
}

}  // namespace

nlohmann::json SharedNetns::to_json() const {
  nlohmann::json list = nlohmann::json::array();
  for (const ipam::AttachmentKey& owner : owners) list.push_back(key_json(owner));
  return {{"phase", phase_text(phase)},
          {"pin", pin},
          {"ownCookie", own_cookie},
          {"target", target},
          {"owners", list},
          {"ownerName", owner_name},
          {"onOwnerExit", keep ? "keep" : "release"}};
}

SharedNetns SharedNetns::from_json(const nlohmann::json& json) {
  try {
    SharedNetns shared;
    shared.phase = phase_from(json.at("phase").get<std::string>());
    shared.pin = json.at("pin").get<std::string>();
    shared.own_cookie = json.at("ownCookie").get<std::uint64_t>();
    shared.target = json.at("target").get<std::string>();
    for (const nlohmann::json& owner : json.at("owners")) shared.owners.push_back(key_from(owner));
    shared.owner_name = json.at("ownerName").get<std::string>();
    shared.keep = json.at("onOwnerExit") == "keep";
    return shared;
  } catch (const nlohmann::json::exception& error) {
    throw Error(ErrorCode::kIo, "the record of a shared namespace cannot be read; run `netctl gc` later",
                error.what());
  }
}

const char* share_part(const ipam::AttachmentRecord& record) {
  for (const char* part : {kSharePart, kHostPart}) {
    if (record.parts.contains(part)) return part;
  }
  return nullptr;
}

std::optional<SharedNetns> shared_netns(const ipam::AttachmentRecord& record) {
  const char* part = share_part(record);
  if (part == nullptr) return std::nullopt;
  const nlohmann::json state = part_state(record, part);
  if (state.is_null()) return std::nullopt;
  return SharedNetns::from_json(state);
}

std::vector<ipam::SharerRecord> sharers_in(const ipam::Transaction& store,
                                           const ipam::AttachmentRecord& owner) {
  std::vector<ipam::SharerRecord> sharers = ipam::sharers_of(store, owner.key);
  std::erase_if(sharers, [&owner](const ipam::SharerRecord& sharer) {
    return sharer.netns_cookie != owner.netns_cookie;
  });
  return sharers;
}

std::vector<std::string> left_parts(const ipam::AttachmentRecord& record) {
  std::vector<std::string> left = record.extra.value(kLeft, std::vector<std::string>{});
  std::erase_if(left, [&record](const std::string& part) { return !record.parts.contains(part); });
  return left;
}

void mark_left(ipam::AttachmentRecord& record, const std::string& part) {
  std::vector<std::string> left = left_parts(record);
  if (std::find(left.begin(), left.end(), part) == left.end()) left.push_back(part);
  record.extra[kLeft] = left;
}

bool is_abandoned(const ipam::Transaction& store, const ipam::AttachmentRecord& record) {
  return !left_parts(record).empty() && sharers_in(store, record).empty();
}

void refuse_sharer(const ipam::AttachmentRecord& record, const std::string& plugin) {
  const char* part = share_part(record);
  if (part == nullptr) return;
  const std::string whose = part == std::string(kHostPart) ? "the host's" : "another container's";
  throw Error(ErrorCode::kInvalidConfig, describe(record.key, record.container_name) + " lives in " + whose +
                                             " network namespace, which " + plugin +
                                             " must not change for it; take " + plugin +
                                             " out of the list behind " + part);
}

void note_discarded_ports(ipam::AttachmentRecord& record, const std::vector<std::string>& ports) {
  std::vector<std::string> all = discarded_ports(record);
  for (const std::string& port : ports) {
    if (std::find(all.begin(), all.end(), port) == all.end()) all.push_back(port);
  }
  if (!all.empty()) record.extra[kDiscardedPorts] = all;
}

std::vector<std::string> discarded_ports(const ipam::AttachmentRecord& record) {
  return record.extra.value(kDiscardedPorts, std::vector<std::string>{});
}

}  // namespace netctl::engine
