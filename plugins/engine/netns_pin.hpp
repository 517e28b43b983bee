#pragma once
// Pins: bind mounts below the runtime folder that keep a container's own network namespace alive while another one stands
// in its place. They live as long as this boot at most, and are named after the attachment, so that gc knows whose they are.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ipam/records.hpp"
#include "netlink/netns.hpp"

namespace netctl::engine {

/// $NETCTL_RUN_DIR or /run/netctl.
[[nodiscard]] std::string runtime_directory();

/// <runtime folder>/netns-<cookie of the host's namespace>/<digest of the key>: hosts that share a /run do not meet.
[[nodiscard]] std::string pin_path(std::uint64_t host_cookie, const ipam::AttachmentKey& key);

/// Mounts `netns` there; folders are made with mode 0700, the file with 0600. A pin of the same name is replaced.
/// Errors: kIo, kKernel.
void pin(const std::string& path, const netlink::Netns& netns);
/// nullopt when nothing is pinned there, seen from this mount namespace. Errors: kKernel.
[[nodiscard]] std::optional<netlink::Netns> pinned(const std::string& path);
/// The namespace ends unless somebody else holds it. Folders go with their last pin. Idempotent. Errors: kKernel, kIo.
void unpin(const std::string& path);
/// Full paths; empty when there is no folder.
[[nodiscard]] std::vector<std::string> list_pins(std::uint64_t host_cookie);

}  // namespace netctl::engine
