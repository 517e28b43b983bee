// `container-share`: the container starts in the network namespace of another one (Docker's --net=container:NAME).

#include "plugins/container-share/container_share.hpp"

#include "plugins/container-share/share_options.hpp"
#include "plugins/engine/check.hpp"
#include "plugins/engine/detach.hpp"
#include "plugins/engine/ports.hpp"
#include "plugins/engine/sharing.hpp"
#include "plugins/engine/verbs.hpp"

namespace netctl::container_share {
namespace {

ipam::AttachmentKey key_of(const cni::Invocation& invocation) {
  return {invocation.network, invocation.container_id, invocation.ifname};
}

/// Ports are a share of their own in the record, the same that a chained portmap has: both may see the same mappings.
void detach_all(engine::Host& host, const ipam::AttachmentKey& key) {
  engine::detach_part(host, key, engine::kPublishPart);
  engine::detach_part(host, key, engine::kSharePart);
}

cni::Result add(const cni::Invocation& invocation) {
  const engine::ShareRequest request = read_request(invocation);
  engine::Host host = engine::Host::open();
  cni::Result result = engine::share(host, request);
  const engine::PublishRequest ports = read_ports(invocation, result);
  if (ports.ports.empty()) return result;
  try {
    result.netctl = engine::chosen_ports(ports.ports, engine::publish(host, ports).ports);
  } catch (...) {
    engine::detach_part(host, request.key, engine::kSharePart);
    throw;
  }
  return result;
}

void del(const cni::Invocation& invocation) {
  engine::Host host = engine::Host::open();
  detach_all(host, key_of(invocation));
}

void check(const cni::Invocation& invocation) {
  const engine::ShareRequest request = read_request(invocation);
  engine::Host host = engine::Host::open();
  engine::check(host, request.key, request.part, invocation.prev_result);
}

void gc(const cni::Invocation& invocation) { engine::gc(invocation); }

void status(const cni::Invocation& invocation) {
  (void)read_request(invocation);
  engine::status({});
}

}  // namespace

cni::Plugin plugin() {
  return {.name = "container-share",
          .about = "starts containers in the network namespace of another container",
          .add = add,
          .del = del,
          .check = check,
          .gc = gc,
          .status = status,
          .undo_add = del,
          .plan = {}};
}

}  // namespace netctl::container_share
