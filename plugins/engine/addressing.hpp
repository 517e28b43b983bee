#pragma once
// Addresses for a request: from the pool in this process, or from another plugin's IPAM.

#include <vector>

#include "plugins/engine/host.hpp"
#include "plugins/engine/request.hpp"

namespace netctl::engine {

/// The pool of a request with all defaults filled in. A request without ranges gets the subnet that was chosen for its
/// network before, or a free one of the default list, which is then remembered (durable).
/// Errors: kInvalidConfig, kSubnetUnavailable.
[[nodiscard]] ipam::PoolConfig resolve_pool(Host& host, const AttachmentRequest& request);

/// The first free IPv4 subnet of the default list: overlaps no route of the host, no subnet that was chosen before, and none
/// of `also_in_use`. Remembers nothing. Errors: kSubnetUnavailable.
[[nodiscard]] IpPrefix free_subnet(Host& host, const std::vector<IpPrefix>& also_in_use);

/// What the allocator has to know: wanted addresses, reservations by name.
[[nodiscard]] ipam::AllocationRequest allocation_request(Host& host, const AttachmentRequest& request);

/// ADD of the delegate. Its routes and dns replace the request's. Errors: the delegate's own; kDelegate when it gave no
/// address.
[[nodiscard]] std::vector<ipam::LeaseRecord> lease_from_delegate(AttachmentRequest& request);

/// dhcp gives its lease back to the server in a packet that leaves through the interface. From any other IPAM an address is
/// free for the next container at once, so it has to be asked when the interface is gone.
[[nodiscard]] bool leases_through_interface(const cni::Invocation& invocation);

/// DEL, CHECK, GC or STATUS of the delegate. Errors: the delegate's own.
void call_delegate(const AttachmentRequest& request, cni::Command command);

}  // namespace netctl::engine
