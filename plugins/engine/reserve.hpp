#pragma once

#include <optional>

#include "plugins/engine/host.hpp"
#include "plugins/engine/request.hpp"

namespace netctl::engine {

/// Errors: kAlreadyAttached when this attachment is complete and its container the same. To be asked before a
/// delegate's ADD (taking that back would free the address of the first attachment), and before a device is looked for:
/// what an ADD of the same name that died, or an earlier container, has of it is then undone first.
void refuse_duplicate(Host& host, const AttachmentRequest& request, std::uint64_t netns_cookie);

/// What the first transaction found and wrote.
struct Reservation {
  ipam::AttachmentRecord record;
  std::optional<ipam::NetworkRecord> network;  ///< as it stood in the same transaction
};

/// The first transaction of ADD: leases, port claims, and a record in state `adding` that holds all that DEL will need.
/// An attachment of the same name whose container is gone or whose ADD died is undone first; holders of wanted addresses
/// and ports that are provably dead give way; a full pool is cleared of the dead once before it counts as full.
/// Another plugin's IPAM is asked before the transaction, or later, see asks_delegate_behind_link().
/// The caller holds the attachment lock.
/// Errors: kAlreadyAttached, kNoFreeAddress, kAddressTaken, kPortTaken, kInvalidConfig.
[[nodiscard]] Reservation reserve(Host& host, AttachmentRequest& request, std::uint64_t netns_cookie);

/// Another plugin's IPAM is asked once the interface is there, as it may send packets through it (dhcp does). Not where
/// the interface itself depends on the addresses.
[[nodiscard]] bool asks_delegate_behind_link(const AttachmentRequest& request);

/// Then the second half of the reservation: what that plugin leased goes into the record together with the ports, which lead
/// there. Dead holders of ports give way. Errors: those of the delegate, kPortTaken.
void add_delegated_leases(Host& host, AttachmentRequest& request, Reservation& reserved);

/// The same in a transaction that is thrown away.
[[nodiscard]] ipam::AttachmentRecord rehearse_reserve(Host& host, AttachmentRequest& request);

}  // namespace netctl::engine
