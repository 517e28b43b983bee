// `firewall`: lets the packets of a container pass that an earlier plugin of the chain attached, where other tools' rules
// would drop them.

#include "base/error.hpp"
#include "plugins/cni/plugin.hpp"
#include "plugins/engine/check.hpp"
#include "plugins/engine/detach.hpp"
#include "plugins/engine/log.hpp"
#include "plugins/engine/verbs.hpp"
#include "plugins/firewall/firewall_config.hpp"

namespace netctl::firewall {
namespace {

cni::Result add(const cni::Invocation& invocation) {
  const engine::FirewallRequest request = read_request(invocation);
  if (!invocation.prev_result) {
    throw Error(ErrorCode::kInvalidConfig,
                "missing prevResult from earlier plugin: put firewall behind the main plugin in the list");
  }
  if (request.is_empty()) return *invocation.prev_result;
  engine::Host host = engine::Host::open();
  engine::open_firewall(host, request);
  return *invocation.prev_result;
}

void del(const cni::Invocation& invocation) {
  engine::Host host = engine::Host::open();
  engine::detach_part(host, {invocation.network, invocation.container_id, invocation.ifname},
                      engine::kFirewallPart);
  try {
    (void)read_request(invocation);
  } catch (const Error& error) {
    // An error would end the runtime's way along the chain, before the plugin that made the interface has its turn.
    engine::log_warning(error.message());
  }
}

void check(const cni::Invocation& invocation) {
  const engine::FirewallRequest request = read_request(invocation);
  if (request.is_empty()) return;
  engine::Host host = engine::Host::open();
  engine::check(host, request.key, engine::kFirewallPart, std::nullopt);
}

void gc(const cni::Invocation& invocation) { engine::gc(invocation); }

void status(const cni::Invocation& invocation) {
  const engine::FirewallRequest request = read_request(invocation);
  engine::status({});
  engine::require_backend(request.backend);
}

}  // namespace
}  // namespace netctl::firewall

int main(int argc, char** argv) {
  using namespace netctl;
  const cni::Plugin plugin{.name = "firewall",
                           .about = "lets the packets of containers pass where other tools drop them",
                           .add = firewall::add,
                           .del = firewall::del,
                           .check = firewall::check,
                           .gc = firewall::gc,
                           .status = firewall::status,
                           .undo_add = firewall::del,
                           .plan = {}};
  return cni::run_process(plugin, argc, argv);
}
