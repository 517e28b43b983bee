#pragma once
// What becomes of an owner's attachment that is detached while others share its namespace.

#include "plugins/engine/host.hpp"

namespace netctl::engine {

/// The attachment was detached and is kept: collects those of its sharers that are provably dead, and detaches it after all
/// when none is left. The caller holds no lock.
void reconsider_keeping(Host& host, const ipam::AttachmentKey& owner);

/// Who this attachment shares with; empty when it is no sharer.
[[nodiscard]] std::vector<ipam::AttachmentKey> owners_of(Host& host, const ipam::AttachmentKey& sharer);

/// Detaches what has left of those owners that nobody shares with any more, and their networks. The caller holds no lock.
void release_owners(Host& host, const std::vector<ipam::AttachmentKey>& owners);

/// The owner's addresses go: ports that its sharers published on them must not lead to who gets them next.
/// Errors: kTryAgainLater when a sharer is being worked on.
void withdraw_ports_of_sharers(Host& host, const std::vector<ipam::AttachmentKey>& sharers);

}  // namespace netctl::engine
