#pragma once
// Collecting what is provably dead or was left half-done, and nothing else.

#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "plugins/engine/host.hpp"

namespace netctl::engine {

struct GcReport {
  std::size_t attachments = 0;        ///< undone
  std::size_t links = 0;              ///< ours by their alias, without a record
  std::size_t elements = 0;           ///< rule elements and chains without a record
  std::size_t networks = 0;           ///< without attachments
  std::vector<std::string> problems;  ///< what could not be cleared; the rest was done all the same
};

/// Undoes the attachments of `network` that are provably dead or crashed. Returns how many.
std::size_t collect_dead(Host& host, const std::string& network);

/// `netctl gc`: all networks (or one): crashed and dead attachments, then links and rule elements without a record, then
/// networks without attachments. After a damaged store was put aside, nothing without a record is touched. What is
/// locked is being worked on and left alone.
[[nodiscard]] GcReport collect_garbage(Host& host, const std::optional<std::string>& network);

/// CNI GC: every attachment of the network that is not in `valid` (container id, ifname) goes, unless it is being worked on
/// or was made after this call began.
[[nodiscard]] GcReport collect_all_but(Host& host, const std::string& network,
                                       const std::set<std::pair<std::string, std::string>>& valid);

}  // namespace netctl::engine
