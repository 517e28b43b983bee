// Every kind of part that this version knows, whichever executable runs: gc of one undoes what all of them did.

#include <array>

#include "base/error.hpp"
#include "plugins/engine/link_kinds.hpp"
#include "plugins/engine/part.hpp"
#include "plugins/engine/parts/bandwidth.hpp"
#include "plugins/engine/parts/firewall.hpp"
#include "plugins/engine/parts/shared_netns.hpp"
#include "plugins/engine/parts/tuning.hpp"
#include "plugins/engine/sharing.hpp"

namespace netctl::engine {
namespace {

constexpr auto kKinds = std::to_array<PartKind>({
    {.name = "bridge", .owns_attachment = true, .undo = nullptr, .find_drift = nullptr},
    {.name = kSharePart,
     .owns_attachment = true,
     .undo = parts::restore_netns,
     .find_drift = parts::find_netns_drift},
    {.name = kHostPart,
     .owns_attachment = true,
     .undo = parts::restore_netns,
     .find_drift = parts::find_netns_drift},
    {.name = "overlay", .owns_attachment = true, .undo = nullptr, .find_drift = nullptr},
    {.name = "host-local", .owns_attachment = true, .undo = nullptr, .find_drift = nullptr},
    {.name = "ptp", .owns_attachment = true, .undo = nullptr, .find_drift = links::point_to_point_drift},
    {.name = "macvlan",
     .owns_attachment = true,
     .undo = links::undo_macvlan,
     .find_drift = links::macvlan_drift},
    {.name = "host-device", .owns_attachment = true, .undo = links::undo_device, .find_drift = nullptr},
    {.name = "portmap", .owns_attachment = false, .undo = nullptr, .find_drift = nullptr},
    {.name = kBandwidthPart, .owns_attachment = false, .undo = undo_bandwidth, .find_drift = bandwidth_drift},
    {.name = kFirewallPart, .owns_attachment = false, .undo = undo_firewall, .find_drift = firewall_drift},
    {.name = kTuningPart, .owns_attachment = false, .undo = undo_tuning, .find_drift = tuning_drift},
});

}  // namespace

const PartKind& part_kind(const std::string& name) {
  for (const PartKind& kind : kKinds) {
    if (name == kind.name) return kind;
  }
  throw Error(ErrorCode::kIo,
              "the attachment was made with " + name +
                  ", which this version of netctl does not know; use the version that made it");
}

}  // namespace netctl::engine
