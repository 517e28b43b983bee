// `portmap`: publishes ports of a container that an earlier plugin of the chain attached.

#include "plugins/portmap/portmap.hpp"

#include "base/error.hpp"
#include "plugins/engine/check.hpp"
#include "plugins/engine/detach.hpp"
#include "plugins/engine/ports.hpp"
#include "plugins/engine/takeover.hpp"
#include "plugins/engine/verbs.hpp"
#include "plugins/portmap/portmap_config.hpp"

namespace netctl::portmap {
namespace {

cni::Result add(const cni::Invocation& invocation) {
  const engine::PublishRequest request = read_request(invocation);
  if (!invocation.prev_result) {
    throw Error(ErrorCode::kInvalidConfig,
                "portmap must be called as a chained plugin, with prevResult; put it behind the main plugin "
                "in the list");
  }
  cni::Result result = *invocation.prev_result;
  if (request.ports.empty()) return result;
  engine::Host host = engine::Host::open();
  const ipam::AttachmentRecord record = engine::publish(host, request);
  result.netctl = engine::chosen_ports(request.ports, record.ports);
  return result;
}

void del(const cni::Invocation& invocation) {
  engine::Host host = engine::Host::open();
  const ipam::AttachmentKey key{invocation.network, invocation.container_id, invocation.ifname};
  bool recorded = false;
  host.live().read(
      [&](const ipam::Transaction& store) { recorded = store.find_attachment(key).has_value(); });
  engine::detach_part(host, key, engine::kPublishPart);
  if (!recorded) engine::take_over_del(host, invocation, engine::TakeOver::kPorts);
  (void)read_request(invocation);  // a configuration that cannot be read is reported, after the work is done
}

void check(const cni::Invocation& invocation) {
  const engine::PublishRequest request = read_request(invocation);
  if (request.ports.empty()) return;
  engine::Host host = engine::Host::open();
  engine::check_or_explain(invocation,
                           [&] { engine::check(host, request.key, engine::kPublishPart, std::nullopt); });
}

void gc(const cni::Invocation& invocation) {
  engine::run_all({[&] { engine::gc(invocation); },
                   [&] {
                     engine::Host host = engine::Host::open();
                     engine::take_over_gc(host, invocation, engine::TakeOver::kPorts);
                   }});
}

void status(const cni::Invocation& invocation) {
  (void)read_request(invocation);
  engine::status({});
}

}  // namespace

cni::Plugin plugin() {
  return {.name = "portmap",
          .about = "publishes ports of containers on the host's addresses",
          .add = add,
          .del = del,
          .check = check,
          .gc = gc,
          .status = status,
          .undo_add = del,
          .plan = {}};
}

}  // namespace netctl::portmap
