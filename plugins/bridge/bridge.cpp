// `bridge`: a veth pair between the container and a bridge of the host, addresses, routes, masquerade, published ports.

#include "plugins/bridge/bridge.hpp"

#include "plugins/bridge/bridge_config.hpp"
#include "plugins/engine/main_plugin.hpp"

namespace netctl::bridge {

cni::Plugin plugin() {
  return engine::main_plugin(
      "bridge", "connects containers to a bridge of the host, with addresses, NAT and published ports",
      read_request);
}

}  // namespace netctl::bridge
