#pragma once

#include <optional>
#include <string>

#include "plugins/engine/host.hpp"
#include "plugins/engine/plan.hpp"

namespace netctl::engine {

/// Undoes what the record says; needs neither namespace nor prevResult nor runtimeConfig. With `part` only that executable's
/// share; the rest goes when the last share goes. Sharers of the namespace are not asked; ports that they published on its
/// addresses go with it. Order: mark as deleting, rule elements, conntrack, link, conntrack,
/// and the address last, only when the link is gone. Every step is tried; the first failure is thrown at the end, and
/// the record then stays `deleting` for the next DEL or gc. The caller holds the attachment lock. No record is
/// success (a link that carries this attachment's alias is removed all the same). Idempotent.
void detach(Host& host, const ipam::AttachmentKey& key, const std::optional<std::string>& part);

/// DEL of one part or all: takes the attachment lock and detaches, unless containers that share its namespace want it kept
/// (sharing.hpp): then it is marked as left, and detached with the last of them. False when it is kept.
/// `lock`: the attachment's, if the caller has it already; it is given up in here.
bool detach_or_keep(Host& host, const ipam::AttachmentKey& key, const std::optional<std::string>& part,
                    HeldLock lock = {});

/// The whole DEL of one executable: detach_or_keep(), and the network goes with its last attachment.
bool detach_part(Host& host, const ipam::AttachmentKey& key, const std::string& part);

/// detach_part() of the executable that makes the interface. When the store knows nothing of the attachment, what carries
/// its alias in the namespace at `netns_path` (empty: unknown) is taken away all the same.
bool detach_main_part(Host& host, const ipam::AttachmentKey& key, const std::string& part,
                      const std::string& netns_path);

/// Detaches all parts of `key` if it is provably dead, crashed, or left and kept for nobody. False when it is not, or is
/// being worked on. Takes the attachment lock without waiting, so it may be called while holding another's.
bool reclaim_if_dead(Host& host, const ipam::AttachmentKey& key);

}  // namespace netctl::engine
