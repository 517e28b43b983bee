// `ptp`: a veth pair between the container and the host, without a bridge; the host routes.

#include "plugins/engine/main_plugin.hpp"
#include "plugins/ptp/ptp_config.hpp"

int main(int argc, char** argv) {
  using namespace netctl;
  return cni::run_process(
      engine::main_plugin("ptp",
                          "connects each container to the host by a link of its own, with routes and NAT",
                          ptp::read_request),
      argc, argv);
}
