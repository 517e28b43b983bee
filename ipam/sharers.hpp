#pragma once
// Who shares whose network namespace: one record for each sharer of each attachment, beside the attachments' own records,
// so that neither side's writes can lose the other's. Written and erased in the transaction that changes the sharer.

#include <cstdint>
#include <vector>

#include "ipam/store.hpp"

namespace netctl::ipam {

/// A reference that a sharer holds on an attachment of the container that it shares with.
struct SharerRecord {
  AttachmentKey owner;
  AttachmentKey sharer;
  std::uint64_t netns_cookie =
      0;             ///< of the shared namespace: an owner of the same name in another one is a new one
  bool keep = true;  ///< the owner's interface stays until this sharer has left

  bool operator==(const SharerRecord&) const = default;
};

void put_sharer(Transaction& live, const SharerRecord& record);
/// Erasing nothing is success.
void erase_sharer(Transaction& live, const AttachmentKey& owner, const AttachmentKey& sharer);
/// One look-up when there are none.
[[nodiscard]] std::vector<SharerRecord> sharers_of(const Transaction& live, const AttachmentKey& owner);

}  // namespace netctl::ipam
