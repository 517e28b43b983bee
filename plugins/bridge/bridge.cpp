// `bridge`: a veth pair between the container and a bridge of the host, addresses, routes, masquerade, published ports.

#include "plugins/bridge/bridge.hpp"

#include "plugins/bridge/bridge_config.hpp"
#include "plugins/cni/delegate.hpp"
#include "plugins/engine/addressing.hpp"
#include "plugins/engine/attach.hpp"
#include "plugins/engine/check.hpp"
#include "plugins/engine/detach.hpp"
#include "plugins/engine/takeover.hpp"
#include "plugins/engine/verbs.hpp"

namespace netctl::bridge {
namespace {

constexpr const char* kPart = "bridge";

cni::Result add(const cni::Invocation& invocation) {
  const engine::AttachmentRequest request = read_request(invocation);
  engine::Host host = engine::Host::open();
  return engine::attach(host, request);
}

/// Our own part needs nothing but the identity, and is done whatever configuration or delegate are like; their complaint is
/// passed on afterwards.
void del(const cni::Invocation& invocation) {
  engine::Host host = engine::Host::open();
  const ipam::AttachmentKey key{invocation.network, invocation.container_id, invocation.ifname};
  engine::detach_part(host, key, kPart);
  engine::take_over_del(host, invocation, engine::TakeOver::kEverything);
  engine::call_delegate(read_request(invocation), cni::Command::kDel);
}

void undo_add(const cni::Invocation& invocation) {
  engine::Host host = engine::Host::open();
  engine::undo_attach(host, read_request(invocation));
}

void check(const cni::Invocation& invocation) {
  const engine::AttachmentRequest request = read_request(invocation);
  engine::Host host = engine::Host::open();
  engine::check_or_explain(invocation,
                           [&] { engine::check(host, request.key, request.driver, invocation.prev_result); });
  engine::call_delegate(request, cni::Command::kCheck);
}

void gc(const cni::Invocation& invocation) {
  engine::run_all({[&] { engine::gc(invocation); },
                   [&] {
                     engine::Host host = engine::Host::open();
                     engine::take_over_gc(host, invocation, engine::TakeOver::kEverything);
                   },
                   [&] { engine::call_delegate(read_request(invocation), cni::Command::kGc); }});
}

void status(const cni::Invocation& invocation) {
  const engine::AttachmentRequest request = read_request(invocation);
  engine::status(request);
  engine::call_delegate(request, cni::Command::kStatus);
}

nlohmann::json plan(const cni::Invocation& invocation) {
  engine::Host host = engine::Host::open();
  return engine::to_json(engine::plan_attach(host, read_request(invocation)));
}

}  // namespace

cni::Plugin plugin() {
  return {.name = "bridge",
          .about = "connects containers to a bridge of the host, with addresses, NAT and published ports",
          .add = add,
          .del = del,
          .check = check,
          .gc = gc,
          .status = status,
          .undo_add = undo_add,
          .plan = plan};
}

}  // namespace netctl::bridge
