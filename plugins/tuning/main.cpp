// `tuning`: sysctls of the container's namespace and settings of the interface that an earlier plugin of the chain made.

#include "base/error.hpp"
#include "plugins/cni/plugin.hpp"
#include "plugins/engine/check.hpp"
#include "plugins/engine/detach.hpp"
#include "plugins/engine/log.hpp"
#include "plugins/engine/verbs.hpp"
#include "plugins/tuning/tuning_config.hpp"

namespace netctl::tuning {
namespace {

void report_changes(const engine::TuningRequest& request, cni::Result& result) {
  for (cni::Interface& interface : result.interfaces) {
    if (interface.name != request.key.ifname || interface.sandbox.empty()) continue;
    if (request.mac) interface.mac = request.mac->to_string();
    if (request.mtu_bytes) interface.mtu_bytes = request.mtu_bytes;
  }
}

cni::Result add(const cni::Invocation& invocation) {
  const engine::TuningRequest request = read_request(invocation);
  if (!invocation.prev_result) {
    throw Error(ErrorCode::kInvalidConfig,
                "Required prevResult missing: tuning must be called as a chained plugin; put it behind the "
                "main plugin in the list");
  }
  cni::Result result = *invocation.prev_result;
  if (request.is_empty()) return result;
  engine::Host host = engine::Host::open();
  engine::tune(host, request);
  report_changes(request, result);
  return result;
}

void del(const cni::Invocation& invocation) {
  engine::Host host = engine::Host::open();
  engine::detach_part(host, {invocation.network, invocation.container_id, invocation.ifname},
                      engine::kTuningPart);
  try {
    (void)read_request(invocation);
  } catch (const Error& error) {
    // An error would end the runtime's way along the chain, before the plugin that made the interface has its turn.
    engine::log_warning(error.message());
  }
}

void check(const cni::Invocation& invocation) {
  const engine::TuningRequest request = read_request(invocation);
  if (request.is_empty()) return;
  engine::Host host = engine::Host::open();
  engine::check(host, request.key, engine::kTuningPart, std::nullopt);
}

void gc(const cni::Invocation& invocation) { engine::gc(invocation); }

void status(const cni::Invocation& invocation) {
  (void)read_request(invocation);
  engine::status({});
}

}  // namespace
}  // namespace netctl::tuning

int main(int argc, char** argv) {
  using namespace netctl;
  const cni::Plugin plugin{.name = "tuning",
                           .about = "sets sysctls, hardware address, MTU and flags in containers",
                           .add = tuning::add,
                           .del = tuning::del,
                           .check = tuning::check,
                           .gc = tuning::gc,
                           .status = tuning::status,
                           .undo_add = tuning::del,
                           .plan = {}};
  return cni::run_process(plugin, argc, argv);
}
