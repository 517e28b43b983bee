#include "plugins/engine/liveness.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "base/error.hpp"
#include "netlink/link.hpp"
#include "plugins/engine/identity.hpp"
#include "plugins/engine/link_kinds.hpp"
#include "plugins/engine/part.hpp"

namespace netctl::engine {
namespace {

bool is_missing(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) != 0 && (errno == ENOENT || errno == ENOTDIR || errno == ESRCH);
}

}  // namespace

Liveness examine(Host& host, const ipam::AttachmentRecord& record) {
  if (!record.host_ifname.empty()) {
    const auto link = netlink::find_link(host.route(), record.host_ifname);
    if (link && digest_in_alias(link->alias) == key_digest(record.key)) return Liveness::kAlive;
  }
  for (const auto& [part, state] : record.parts) {
    // A device that moved and is back: the kernel gave it back as the namespace ended.
    if (state == ipam::State::kReady && links::has_come_back(host, record, part_state(record, part)))
      return Liveness::kDead;
  }
  // A veth pair goes with its container's namespace, and nothing else is known of a sandbox that was not there at ADD.
  const bool only_link_tells = record.netns_cookie == 0 && !record.host_ifname.empty();
  if (only_link_tells && record.extra.value(kHandedOver, false)) return Liveness::kDead;
  if (record.netns_path.empty() || record.netns_cookie == 0) return Liveness::kUnknown;
  if (is_missing(record.netns_path)) {
    return record.mount_namespace == mount_namespace() ? Liveness::kDead : Liveness::kUnknown;
  }
  try {
    const std::uint64_t cookie = netlink::Netns::open(record.netns_path).cookie();
    return cookie == record.netns_cookie ? Liveness::kAlive : Liveness::kDead;
  } catch (const Error& error) {
    // The path is there and is no network namespace any more (its mount is gone, the file left behind).
    const bool was_seen_here = record.mount_namespace == mount_namespace();
    return was_seen_here && error.code() == ErrorCode::kInvalidNetns ? Liveness::kDead : Liveness::kUnknown;
  }
}

bool is_unfinished(const ipam::AttachmentRecord& record) {
  return std::any_of(record.parts.begin(), record.parts.end(),
                     [](const auto& part) { return part.second != ipam::State::kReady; });
}

std::string to_string(Liveness liveness) {
  switch (liveness) {
    case Liveness::kAlive:
      return "alive";
    case Liveness::kDead:
      return "dead";
    case Liveness::kUnknown:
      break;
  }
  return "unknown";
}

}  // namespace netctl::engine
