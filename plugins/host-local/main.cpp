// `host-local`: the address pool as a stand-alone IPAM executable, for main plugins that are not ours.

#include "base/error.hpp"
#include "plugins/cni/plugin.hpp"
#include "plugins/engine/check.hpp"
#include "plugins/engine/detach.hpp"
#include "plugins/engine/ipam_config.hpp"
#include "plugins/engine/lease.hpp"
#include "plugins/engine/takeover.hpp"
#include "plugins/engine/verbs.hpp"

namespace netctl::host_local {
namespace {

constexpr const char* kPart = "host-local";

engine::AttachmentRequest read_request(const cni::Invocation& invocation) {
  invocation.args.reject_unknown({"IP", "MAC"});  // the main plugin's MAC reaches its IPAM too
  engine::AttachmentRequest request;
  const cni::RuntimeConfig runtime = cni::read_runtime_config(invocation);
  request.key = {invocation.network, invocation.container_id, invocation.ifname};
  request.driver = kPart;
  request.makes_link = false;
  request.netns_path = invocation.netns;
  request.container_name = runtime.container_name;
  request.labels = runtime.labels;
  request.addressing = engine::read_addressing(invocation, runtime);
  request.invocation = &invocation;
  if (request.addressing.kind != engine::Addressing::kPool) {
    throw Error(
        ErrorCode::kInvalidConfig,
        "IPAM config missing 'ipam' key with type host-local; this executable only serves such networks");
  }
  return request;
}

cni::Result add(const cni::Invocation& invocation) {
  const engine::AttachmentRequest request = read_request(invocation);
  engine::Host host = engine::Host::open();
  return engine::lease(host, request);
}

void del(const cni::Invocation& invocation) {
  engine::Host host = engine::Host::open();
  const ipam::AttachmentKey key{invocation.network, invocation.container_id, invocation.ifname};
  engine::detach_part(host, key, kPart);
  engine::take_over_del(host, invocation, engine::TakeOver::kLease);
  (void)read_request(invocation);  // a configuration that cannot be read is reported, after the work is done
}

void check(const cni::Invocation& invocation) {
  const engine::AttachmentRequest request = read_request(invocation);
  engine::Host host = engine::Host::open();
  engine::check_or_explain(invocation, [&] { engine::check(host, request.key, kPart, std::nullopt); });
}

void gc(const cni::Invocation& invocation) {
  engine::run_all({[&] { engine::gc(invocation); },
                   [&] {
                     engine::Host host = engine::Host::open();
                     engine::take_over_gc(host, invocation, engine::TakeOver::kLease);
                   }});
}

void status(const cni::Invocation& invocation) { engine::status(read_request(invocation)); }

}  // namespace
}  // namespace netctl::host_local

int main(int argc, char** argv) {
  using namespace netctl;
  const cni::Plugin plugin{.name = "host-local",
                           .about = "leases addresses from a pool of this host",
                           .add = host_local::add,
                           .del = host_local::del,
                           .check = host_local::check,
                           .gc = host_local::gc,
                           .status = host_local::status,
                           .undo_add = host_local::del,
                           .plan = {}};
  return cni::run_process(plugin, argc, argv);
}
