#pragma once
// ADD of `container-share` and `host`: the container gets another one's network namespace, or the host's, before it starts.

#include <map>
#include <string>
#include <vector>

#include "plugins/cni/runtime_config.hpp"
#include "plugins/engine/host.hpp"

namespace netctl::engine {

struct ShareRequest {
  ipam::AttachmentKey key;
  std::string part;  ///< kSharePart or kHostPart (sharing.hpp)
  std::string netns_path;
  std::string target;  ///< whose namespace (share_target.hpp); not looked at for kHostPart
  bool allow_host = false;
  bool keep_owner = true;  ///< the owner's interface stays until this container has left
  std::string container_name;
  std::string runtime;
  std::map<std::string, std::string> labels;
  std::vector<std::string> aliases;
  std::vector<cni::PortMapping> discarded_ports;  ///< noted for `netctl inspect`
  cni::Dns dns;                                   ///< overrules the owner's, unless empty
};

/// Works where CNI_NETNS is an nsfs bind mount. One transaction records the attachment and a reference on each attachment of
/// the owner; then the container's own namespace is pinned, and the mount replaced by one of the target's. Verified by
/// cookie before and after. A failure takes back everything. Holds the attachment's lock.
/// Errors: those of find_share_target(); kInvalidNetns (no namespace; the host's own; a process's that runs already, with
/// what works instead); kAlreadyAttached; kTryAgainLater; kKernel.
[[nodiscard]] cni::Result share(Host& host, const ShareRequest& request);

/// One port in Docker's words, "8080->80/tcp".
[[nodiscard]] std::string describe(const cni::PortMapping& mapping);

}  // namespace netctl::engine
