// `netctl-docker`: the daemon behind Docker's remote network and IPAM drivers `netctl`.

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "plugins/cni/program.hpp"
#include "plugins/docker/activation.hpp"
#include "plugins/docker/server.hpp"
#include "plugins/engine/host.hpp"
#include "plugins/frontdoor/program.hpp"

namespace netctl::docker {
namespace {

constexpr const char* kHelp =
    "netctl-docker (netctl " NETCTL_VERSION
    ")\n"
    "Docker's network and IPAM driver `netctl`: docker network create -d netctl --ipam-driver netctl NAME\n"
    "Serves on the socket that systemd hands over, or makes one.\n"
    "  --socket PATH   /run/docker/plugins/netctl.sock; its name without .sock is the driver's name\n"
    "  --version, --help\n";

void work(const std::vector<std::string>& arguments) {
  std::string path = kDefaultSocket;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == "--version")
      return cni::print_to_standard_output("netctl-docker (netctl " NETCTL_VERSION ")\n");
    if (arguments[i] == "--help") return cni::print_to_standard_output(kHelp);
    if (arguments[i] != "--socket" || i + 1 == arguments.size()) {
      throw Error(ErrorCode::kInvalidConfig, "unknown argument " + arguments[i] + "; see --help");
    }
    path = arguments[++i];
  }
  (void)engine::Host::open();  // what would fail at every call is said at once
  serve(listening_socket(path));
}

void report(const Error& error) {
  const std::string line = "netctl-docker: " + frontdoor::one_line(error) + "\n";
  std::fputs(line.c_str(), stderr);
}

}  // namespace
}  // namespace netctl::docker

int main(int argc, char** argv) {
  using namespace netctl;
  cni::prepare_program();
  const std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
  return frontdoor::run_guarded([&] { docker::work(arguments); }, docker::report) ? 0 : 1;
}
