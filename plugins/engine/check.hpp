#pragma once

#include <optional>
#include <string>
#include <vector>

#include "plugins/engine/host.hpp"
#include "plugins/engine/request.hpp"

namespace netctl::engine {

/// What of an attachment is not as its record says, one sentence each; empty = all is well. Looks at link, port flags,
/// addresses, routes, rule elements and leases; tolerates what later plugins of a chain may change (hardware address, more
/// addresses and routes). Changes nothing.
[[nodiscard]] std::vector<std::string> find_drift(Host& host, const ipam::AttachmentRecord& record);

/// CNI CHECK of one executable's part. Errors: kDrift with everything that find_drift() says and everything of `expected`
/// (the prevResult) that is not there; kUnknownContainer when there is no record.
void check(Host& host, const ipam::AttachmentKey& key, const std::string& part,
           const std::optional<cni::Result>& expected);

}  // namespace netctl::engine
