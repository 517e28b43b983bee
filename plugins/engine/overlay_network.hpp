#pragma once
// The overlay's share in a network: device, entries, guard. Called under the network's lock, held exclusive, unless said
// otherwise. What nodes there are stands in the lease file; the network's record says what of it was programmed.

#include <string>
#include <vector>

#include "plugins/engine/host.hpp"
#include "plugins/engine/plan.hpp"

namespace netctl::engine {

/// Puts into the record what tearing down needs. Nothing is programmed yet as far as the record says.
void note_overlay(ipam::NetworkRecord& record, const OverlaySpec& overlay);

/// As the lease file has it now; nullopt when the network has no overlay, or its lease is gone or damaged.
[[nodiscard]] std::optional<OverlaySpec> recorded_overlay(const ipam::NetworkRecord& record);

/// The guard first, then the device with its entries, after bridge and rules are there; the lease file before, where it was
/// made of the configuration. A failure puts lease file and guard back. Errors: kSubnetUnavailable when the overlay overlaps
/// another one of this host; those of ensure_vtep(); kTryAgainLater without a lease.
void set_up_overlay(Host& host, const NetworkPlan& plan, ipam::NetworkRecord& record);

/// The device and, where it was made of the configuration, the lease. Idempotent.
void tear_down_overlay(Host& host, const ipam::NetworkRecord& record);

/// Brings the sets of peers to what the overlays of all networks say. The table lock must be held exclusive.
void guard_tunnels(Host& host);
/// The same, taking that lock; nothing when there is no table.
void guard_tunnels_if_any(Host& host);

/// What of the network's overlay is not as the lease says, a sentence each: lease, device, entries, guard. Changes nothing;
/// needs no lock.
[[nodiscard]] std::vector<std::string> find_overlay_drift(Host& host, const ipam::NetworkRecord& record);

/// l2 with both IP versions: the container's IPv6 address follows from its IPv4 one, because both have one hardware address
/// that other nodes work out.
void add_paired_leases(const AttachmentRequest& request, std::vector<ipam::LeaseRecord>& leases);

}  // namespace netctl::engine
