#include "netctl/shares.hpp"

#include <algorithm>

#include "netctl/table.hpp"
#include "plugins/engine/sharing.hpp"

namespace netctl::cli {
namespace {

constexpr std::size_t kShortId = 12;

/// "host", "mysql (0123456789ab)", or what the user called a namespace that is none of ours.
std::string shares_text(const AttachmentRow& row) {
  const auto shared = engine::shared_netns(row.record);
  if (!shared) return "";
  if (shared->target.empty()) return "host";
  if (shared->owners.empty()) return shared->target;
  const std::string id = shared->owners.front().container_id.substr(0, kShortId);
  return shared->owner_name.empty() ? id : shared->owner_name + " (" + id + ")";
}

}  // namespace

nlohmann::json shares_json(const AttachmentRow& row) {
  const auto shared = engine::shared_netns(row.record);
  if (!shared) return nullptr;
  if (shared->target.empty()) return {{"namespace", "host"}};
  return {{"namespace", "container"},
          {"target", shared->target},
          {"name", shared->owner_name},
          {"containerID", shared->owners.empty() ? "" : shared->owners.front().container_id},
          {"onOwnerExit", shared->keep ? "keep" : "release"}};
}

nlohmann::json shared_by_json(const AttachmentRow& row, const std::vector<AttachmentRow>& all) {
  std::vector<std::string> ids;
  for (const AttachmentRow& other : all) {
    const auto shared = engine::shared_netns(other.record);
    if (!shared || other.record.netns_cookie != row.record.netns_cookie) continue;
    const auto& owners = shared->owners;
    if (std::find(owners.begin(), owners.end(), row.record.key) != owners.end())
      ids.push_back(other.record.key.container_id);
  }
  return ids;
}

std::vector<std::string> warnings_of(const AttachmentRow& row) {
  std::vector<std::string> warnings;
  if (row.record.parts.contains(engine::kHostPart)) {
    warnings.emplace_back(
        "the container lives in the host's network namespace: it reaches every interface of the host and "
        "every "
        "service on 127.0.0.1, and what it listens on is open on the host itself");
  }
  const std::vector<std::string> discarded = engine::discarded_ports(row.record);
  if (!discarded.empty()) {
    warnings.push_back("published ports are discarded in the host's network namespace: " + join(discarded));
  }
  if (!engine::left_parts(row.record).empty()) {
    warnings.emplace_back(
        "the container was detached; its interface, addresses and ports are kept until the last of those "
        "that "
        "share its namespace has left");
  }
  return warnings;
}

void add_shares_column(const std::vector<AttachmentRow>& attachments, std::vector<std::string>& heads,
                       std::vector<std::vector<std::string>>& rows) {
  std::vector<std::string> texts;
  for (const AttachmentRow& row : attachments) texts.push_back(shares_text(row));
  if (std::all_of(texts.begin(), texts.end(), [](const std::string& text) { return text.empty(); })) return;
  heads.emplace_back("SHARES");
  for (std::size_t index = 0; index < rows.size(); ++index) rows[index].push_back(texts[index]);
}

}  // namespace netctl::cli
