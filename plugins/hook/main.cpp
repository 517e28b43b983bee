// `netctl-hook`: an OCI hook that attaches a container to a network before it starts and detaches it after its end.

#include <algorithm>
#include <cstdio>
#include <string_view>

#include "plugins/cni/program.hpp"
#include "plugins/engine/log.hpp"
#include "plugins/frontdoor/program.hpp"
#include "plugins/hook/hook.hpp"

namespace netctl::hook {
namespace {

constexpr const char* kHelp =
    "netctl-hook (netctl " NETCTL_VERSION
    ")\n"
    "OCI hook: attaches a container to a network of /etc/cni/net.d before it starts, detaches it after its "
    "end.\n"
    "An OCI runtime (runc, crun) starts it under createRuntime and poststop, with the container's state on "
    "stdin.\n"
    "  --network NAME    network, when the annotation io.netctl.network names none\n"
    "  --publish PORTS   [HOSTIP:][HOST:]CONTAINER[/protocol],...   (io.netctl.publish)\n"
    "  --name NAME       name of the container                      (io.netctl.name)\n"
    "  --ip ADDRESS,...  wanted addresses                           (io.netctl.ip)\n"
    "  --mac ADDRESS     hardware address                           (io.netctl.mac)\n"
    "  --ifname NAME     interface in the container, eth0           (io.netctl.ifname)\n"
    "  --alias NAME,...  further names                              (io.netctl.aliases)\n"
    "  --version, --help\n";

bool answered_by_hand(const std::vector<std::string>& arguments) {
  if (arguments.size() != 1) return false;
  if (arguments[0] == "--version") {
    cni::print_to_standard_output("netctl-hook (netctl " NETCTL_VERSION ")\n");
  } else if (arguments[0] == "--help") {
    cni::print_to_standard_output(kHelp);
  } else {
    return false;
  }
  return true;
}

/// Which hook of the runtime's life cycle this is, by what the state says: runc writes "creating" before the start, crun
/// "created", both "stopped" at the end.
void work(const std::vector<std::string>& arguments) {
  if (answered_by_hand(arguments)) return;
  const ContainerState state = read_state();
  if (state.status == "stopped") return detach(state);
  if (state.status == "creating" || state.status == "created") {
    return attach(state, read_options(arguments, state.annotations));
  }
  throw Error(ErrorCode::kInvalidConfig,
              "the container is \"" + state.status +
                  "\" already; put the hook under createRuntime and poststop, nowhere else");
}

void report(const Error& error) {
  const std::string line = "netctl-hook: " + frontdoor::one_line(error) + "\n";
  std::fputs(line.c_str(), stderr);
  engine::log_info("hook failed: " + frontdoor::one_line(error));  // crun shows nobody what a hook says
}

}  // namespace
}  // namespace netctl::hook

int main(int argc, char** argv) {
  using namespace netctl;
  cni::prepare_program();
  const std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
  return frontdoor::run_guarded([&] { hook::work(arguments); }, hook::report) ? 0 : 1;
}
