#pragma once
// A look at a few old attachments for every new one: what ended without a DEL is found in time, at a cost that does not
// depend on how many there are.

#include <cstddef>
#include <vector>

#include "ipam/store.hpp"

namespace netctl::ipam {

/// At most `count` other attachments of the network, those that follow in the order of the keys and come round at the end.
/// The keys are hashes, so every attachment has the same chance to be looked at.
[[nodiscard]] std::vector<AttachmentRecord> next_attachments(const Transaction& transaction,
                                                             const AttachmentKey& key, std::size_t count);

}  // namespace netctl::ipam
