// `bandwidth`: limits what a container sends and receives through the veth pair that an earlier plugin of the chain made.

#include "base/error.hpp"
#include "plugins/bandwidth/bandwidth_config.hpp"
#include "plugins/cni/plugin.hpp"
#include "plugins/engine/check.hpp"
#include "plugins/engine/detach.hpp"
#include "plugins/engine/log.hpp"
#include "plugins/engine/verbs.hpp"

namespace netctl::bandwidth {
namespace {

cni::Result add(const cni::Invocation& invocation) {
  const engine::BandwidthRequest request = read_request(invocation);
  if (!invocation.prev_result) {
    throw Error(
        ErrorCode::kInvalidConfig,
        "must be called as chained plugin: prevResult is missing; put bandwidth behind the main plugin in "
        "the list");
  }
  cni::Result result = *invocation.prev_result;
  if (request.is_empty()) return result;
  engine::Host host = engine::Host::open();
  if (const auto device = engine::limit_bandwidth(host, request)) {
    cni::Interface& interface = result.interfaces.emplace_back();
    interface.name = device->name;
    interface.mac = device->mac;
  }
  return result;
}

void del(const cni::Invocation& invocation) {
  engine::Host host = engine::Host::open();
  engine::detach_part(host, {invocation.network, invocation.container_id, invocation.ifname},
                      engine::kBandwidthPart);
  try {
    (void)read_request(invocation);
  } catch (const Error& error) {
    // An error would end the runtime's way along the chain, before the plugin that made the interface has its turn.
    engine::log_warning(error.message());
  }
}

void check(const cni::Invocation& invocation) {
  const engine::BandwidthRequest request = read_request(invocation);
  if (request.is_empty()) return;
  engine::Host host = engine::Host::open();
  engine::check(host, request.key, engine::kBandwidthPart, std::nullopt);
}

void gc(const cni::Invocation& invocation) { engine::gc(invocation); }

void status(const cni::Invocation& invocation) {
  (void)read_request(invocation);
  engine::status({});
  engine::require_shaping();
}

}  // namespace
}  // namespace netctl::bandwidth

int main(int argc, char** argv) {
  using namespace netctl;
  const cni::Plugin plugin{.name = "bandwidth",
                           .about = "limits the bandwidth of containers",
                           .add = bandwidth::add,
                           .del = bandwidth::del,
                           .check = bandwidth::check,
                           .gc = bandwidth::gc,
                           .status = bandwidth::status,
                           .undo_add = bandwidth::del,
                           .plan = {}};
  return cni::run_process(plugin, argc, argv);
}
