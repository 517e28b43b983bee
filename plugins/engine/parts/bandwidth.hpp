#pragma once
// The share of `bandwidth`: a rate limit on the host's end of the container's veth pair (what the container receives), and
// one on an ifb device that all it sends is led through. Both are in the host's namespace.

#include <optional>
#include <string>
#include <vector>

#include "base/ip_address.hpp"
#include "netlink/traffic_control.hpp"
#include "plugins/engine/part.hpp"

namespace netctl::engine {

inline constexpr const char* kBandwidthPart = "bandwidth";

struct BandwidthRequest {
  ipam::AttachmentKey key;
  std::string netns_path;
  bool netns_override = false;
  std::string container_name;
  std::optional<netlink::RateLimit> ingress;  ///< of what the container receives
  std::optional<netlink::RateLimit> egress;   ///< of what it sends
  /// The other ends that count: with `only_subnets` traffic with them is limited, else all but that. Empty: all traffic.
  std::vector<IpPrefix> subnets;
  bool only_subnets = false;

  [[nodiscard]] bool is_empty() const { return !ingress && !egress; }
};

/// The device that outgoing traffic is led through; as the result reports it.
struct ShapingDevice {
  std::string name;
  std::string mac;
};

/// Nothing when only ingress is limited. A failure takes everything back.
/// Errors: kInvalidConfig (the container's interface is no veth whose other end is on this host; the host's end has queueing
/// disciplines of somebody else), kNotAvailable naming the kernel module that is missing, kInvalidNetns, kKernel.
std::optional<ShapingDevice> limit_bandwidth(Host& host, const BandwidthRequest& request);

/// For STATUS: tries everything in an empty network namespace that is thrown away. Errors: kNotAvailable.
void require_shaping();

/// See PartKind. Removes what has our handle, redirects to our device, or is our device by its alias.
void undo_bandwidth(Host& host, const ipam::AttachmentRecord& record, const nlohmann::json& state);
[[nodiscard]] std::vector<std::string> bandwidth_drift(Host& host, const ipam::AttachmentRecord& record,
                                                       const nlohmann::json& state);

}  // namespace netctl::engine
