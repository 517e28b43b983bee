#pragma once
// Publishing ports of a container that another executable of the chain attached, ours or not.

#include <optional>

#include "plugins/engine/host.hpp"
#include "plugins/engine/request.hpp"

namespace netctl::engine {

struct PublishRequest {
  ipam::AttachmentKey key;
  std::string netns_path;
  std::vector<IpAddress> targets;  ///< the container's addresses, one a family
  std::vector<cni::PortMapping> ports;
  bool masquerade_local = true;
  bool caller_holds_ports = false;  ///< as in EndpointSpec
  std::string container_name;
};

inline constexpr const char* kPublishPart = "portmap";

/// Claims the ports and adds their elements. A failure takes back this part alone. Returns the record.
/// Errors: kPortTaken, kInvalidConfig (no address), kKernel.
ipam::AttachmentRecord publish(Host& host, const PublishRequest& request);

}  // namespace netctl::engine
