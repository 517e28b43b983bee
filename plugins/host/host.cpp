// `host`: the container starts in the host's own network namespace. Nothing is published: it listens on the host's ports.

#include "plugins/host/host.hpp"

#include "plugins/engine/check.hpp"
#include "plugins/engine/detach.hpp"
#include "plugins/engine/share_config.hpp"
#include "plugins/engine/sharing.hpp"
#include "plugins/engine/verbs.hpp"

namespace netctl::host {
namespace {

engine::ShareRequest read_request(const cni::Invocation& invocation) {
  invocation.args.reject_unknown({"K8S_POD_NAME"});
  return engine::read_share_request(invocation, engine::kHostPart, {});
}

cni::Result add(const cni::Invocation& invocation) {
  const engine::ShareRequest request = read_request(invocation);
  engine::Host host = engine::Host::open();
  return engine::share(host, request);
}

void del(const cni::Invocation& invocation) {
  engine::Host host = engine::Host::open();
  engine::detach_part(host, {invocation.network, invocation.container_id, invocation.ifname},
                      engine::kHostPart);
}

void check(const cni::Invocation& invocation) {
  const engine::ShareRequest request = read_request(invocation);
  engine::Host host = engine::Host::open();
  engine::check(host, request.key, request.part, std::nullopt);
}

void gc(const cni::Invocation& invocation) { engine::gc(invocation); }

void status(const cni::Invocation& invocation) {
  (void)read_request(invocation);
  engine::status({});
}

}  // namespace

cni::Plugin plugin() {
  return {.name = "host",
          .about = "starts containers in the host's own network namespace",
          .add = add,
          .del = del,
          .check = check,
          .gc = gc,
          .status = status,
          .undo_add = del,
          .plan = {}};
}

}  // namespace netctl::host
