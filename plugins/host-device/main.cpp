// `host-device`: a device of the host moves into the container, and back.

#include "plugins/engine/main_plugin.hpp"
#include "plugins/host-device/host_device_config.hpp"

int main(int argc, char** argv) {
  using namespace netctl;
  return cni::run_process(engine::main_plugin("host-device", "moves a device of the host into the container",
                                              host_device::read_request),
                          argc, argv);
}
