// `macvlan`: an interface of the container's own on top of a device of the host.

#include "plugins/engine/main_plugin.hpp"
#include "plugins/macvlan/macvlan_config.hpp"

int main(int argc, char** argv) {
  using namespace netctl;
  return cni::run_process(
      engine::main_plugin("macvlan", "gives each container an interface on the wire of a device of the host",
                          macvlan::read_request),
      argc, argv);
}
