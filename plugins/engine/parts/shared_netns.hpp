#pragma once
// The part of a sharer: another namespace stands where the runtime bound the container's own.

#include "plugins/engine/part.hpp"

namespace netctl::engine::parts {

/// Puts the container's own namespace back where the runtime bound it, if the shared one still stands there, and gives up
/// pin and references. A path that the runtime has taken away or given to another namespace is left as it is.
/// Idempotent. Errors: kKernel, kIo.
void restore_netns(Host& host, const ipam::AttachmentRecord& record, const nlohmann::json& state);

/// The path shows another namespace than the shared one; the container's own is not kept any more; the owner is gone.
[[nodiscard]] std::vector<std::string> find_netns_drift(Host& host, const ipam::AttachmentRecord& record,
                                                        const nlohmann::json& state);

}  // namespace netctl::engine::parts
