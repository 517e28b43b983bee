#pragma once
// Host ports as claims with an owner. The kernel cannot see that 0.0.0.0:80 and 10.0.0.1:80 overlap; this does.

#include <optional>
#include <vector>

#include "ipam/store.hpp"

namespace netctl::ipam {

struct PortConflict {
  PortRecord wanted;
  AttachmentKey holder;
  std::string holder_name;  ///< container name when the store knows it
};

/// Claims the port for `owner`; idempotent for its owner. Overlap: same protocol, overlapping port numbers, and equal host
/// addresses or one of them "any" (nullopt overlaps with both families, 0.0.0.0 with IPv4, :: with IPv6).
/// Another endpoint of the owner's container (eth1 beside eth0, also on another network) counts as the owner: the first one
/// keeps the claim, and nullopt is returned for the second too.
/// Returns the conflict when somebody else holds it; nothing is claimed then.
[[nodiscard]] std::optional<PortConflict> claim_port(Transaction& transaction, const PortRecord& port,
                                                     const AttachmentKey& owner);

/// Frees the claim if `owner` holds it. Idempotent.
void release_port(Transaction& transaction, const PortRecord& port, const AttachmentKey& owner);

/// The owner of exactly this claim.
[[nodiscard]] std::optional<AttachmentKey> find_port_owner(const Transaction& transaction,
                                                           const PortRecord& port);

/// The lowest run of `count` ports from `first` up (to 65535) that no claim of this protocol overlaps; nullopt when none.
[[nodiscard]] std::optional<std::uint16_t> find_free_port(const Transaction& transaction,
                                                          std::uint8_t protocol,
                                                          const std::optional<IpAddress>& host_ip,
                                                          std::uint16_t first, std::uint16_t count);

}  // namespace netctl::ipam
