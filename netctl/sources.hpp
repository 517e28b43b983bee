#pragma once
// What there is to show: configurations, records, pools. Reads only; creates nothing.

#include <optional>
#include <string>
#include <vector>

#include "ipam/records.hpp"
#include "plugins/engine/liveness.hpp"
#include "plugins/frontdoor/conf.hpp"

namespace netctl::cli {

struct AttachmentRow {
  ipam::AttachmentRecord record;
  engine::Liveness liveness = engine::Liveness::kUnknown;
  bool unfinished = false;  ///< its ADD or DEL is running, or was interrupted
};

struct NetworkRow {
  std::string name;
  std::string driver;
  std::vector<std::string> subnets;
  std::string bridge;
  std::size_t containers = 0;
  std::uint64_t leased = 0;
  std::uint64_t size = 0;  ///< 0: unknown
  std::string file;        ///< empty: in use, without a configuration in the directory
};

/// All attachments, or those of one network. Empty when there is no store yet.
[[nodiscard]] std::vector<AttachmentRow> list_attachments(const std::optional<std::string>& network = {});

/// Configured networks, those that Docker defined, and those in use.
[[nodiscard]] std::vector<NetworkRow> list_networks(std::vector<std::string>& complaints);

/// Other names that the runtime gave the container on this network.
[[nodiscard]] std::vector<std::string> aliases_of(const ipam::AttachmentRecord& record);

/// Is `name` the beginning of the container's id, its name, or one of its aliases?
[[nodiscard]] bool is_called(const ipam::AttachmentRecord& record, const std::string& name);

/// "alive", "dead", "unknown", "unfinished", "kept" (detached, and kept for those that share its namespace).
[[nodiscard]] std::string state_text(const AttachmentRow& row);

}  // namespace netctl::cli
