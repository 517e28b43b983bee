#pragma once
// Who shares whose network namespace, as `netctl ps` and `netctl inspect` tell it.

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "netctl/sources.hpp"

namespace netctl::cli {

/// null for a container with a namespace of its own; else "namespace" ("host" or "container") and, of a container, "target"
/// (as it was asked for), "name", "containerID" and "onOwnerExit".
[[nodiscard]] nlohmann::json shares_json(const AttachmentRow& row);

/// Ids of the containers among `all` that share this one's namespace.
[[nodiscard]] nlohmann::json shared_by_json(const AttachmentRow& row, const std::vector<AttachmentRow>& all);

/// What the operator should know of it, one sentence each.
[[nodiscard]] std::vector<std::string> warnings_of(const AttachmentRow& row);

/// Adds the column SHARES when one of `attachments` shares another's namespace. Rows are in the order of the attachments.
void add_shares_column(const std::vector<AttachmentRow>& attachments, std::vector<std::string>& heads,
                       std::vector<std::vector<std::string>>& rows);

}  // namespace netctl::cli
