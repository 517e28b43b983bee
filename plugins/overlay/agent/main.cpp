// `netctl-agent`: tends the overlays of this host whose nodes meet at a source (etcd, a shared directory).

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/error.hpp"
#include "ipam/store.hpp"
#include "plugins/frontdoor/conf.hpp"
#include "plugins/frontdoor/program.hpp"
#include "plugins/overlay/agent/agent.hpp"

namespace {

constexpr const char* kUsage =
    "usage: netctl-agent [--metrics-port PORT]\n"
    "  Tends the overlays in $NETCTL_CONF_DIR (/etc/cni/net.d) whose source is etcd or dir.\n"
    "  Leases and its socket are in $NETCTL_STATE_DIR/overlay (/var/lib/netctl/overlay).\n"
    "  SIGHUP: read the configurations anew. SIGTERM: end; containers are not touched.\n";

/// False: the arguments are wrong.
bool read_arguments(int argc, char** argv, netctl::overlay::AgentOptions& options) {
  if (argc == 1) return true;
  if (argc != 3 || std::strcmp(argv[1], "--metrics-port") != 0) return false;
  char* end = nullptr;
  const unsigned long port = std::strtoul(argv[2], &end, 10);
  if (*argv[2] == '\0' || *end != '\0' || port == 0 || port > 65535) return false;
  options.metrics_port = static_cast<std::uint16_t>(port);
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "--version") == 0) {
    std::puts("netctl-agent " NETCTL_VERSION);
    return 0;
  }
  netctl::overlay::AgentOptions options;
  if (!read_arguments(argc, argv, options)) {
    std::fputs(kUsage, stderr);
    return 2;
  }
  const bool done = netctl::frontdoor::run_guarded(
      [&options] {
        options.state_directory = netctl::ipam::Store::default_directory();
        options.conf_directory = netctl::frontdoor::conf_directory();
        netctl::overlay::Agent(options).run();
      },
      [](const netctl::Error& error) {
        std::fprintf(stderr, "netctl-agent: %s\n", netctl::frontdoor::one_line(error).c_str());
      });
  return done ? 0 : 1;
}
