#include "plugins/engine/main_plugin.hpp"

#include "plugins/engine/addressing.hpp"
#include "plugins/engine/attach.hpp"
#include "plugins/engine/check.hpp"
#include "plugins/engine/detach.hpp"
#include "plugins/engine/takeover.hpp"
#include "plugins/engine/verbs.hpp"

namespace netctl::engine {

cni::Plugin main_plugin(const std::string& name, const std::string& about, RequestReader read) {
  cni::Plugin plugin;
  plugin.name = name;
  plugin.about = about;
  plugin.add = [read](const cni::Invocation& invocation) {
    AttachmentRequest request = read(invocation);
    Host host = Host::open();
    return attach(host, std::move(request));
  };
  plugin.del = [read, name](const cni::Invocation& invocation) {
    Host host = Host::open();
    const ipam::AttachmentKey key{invocation.network, invocation.container_id, invocation.ifname};
    const auto release = [&] { call_delegate(read(invocation), cni::Command::kDel); };
    const auto detach = [&] {
      detach_main_part(host, key, name, invocation.netns);
      take_over_del(host, invocation, TakeOver::kEverything);
    };
    if (leases_through_interface(invocation)) {
      run_all({release, detach});
    } else {
      detach();
      release();
    }
  };
  plugin.check = [read](const cni::Invocation& invocation) {
    const AttachmentRequest request = read(invocation);
    Host host = Host::open();
    check_or_explain(invocation, [&] { check(host, request.key, request.driver, invocation.prev_result); });
    call_delegate(request, cni::Command::kCheck);
  };
  plugin.gc = [read](const cni::Invocation& invocation) {
    run_all({[&] { gc(invocation); },
             [&] {
               Host host = Host::open();
               take_over_gc(host, invocation, TakeOver::kEverything);
             },
             [&] { call_delegate(read(invocation), cni::Command::kGc); }});
  };
  plugin.status = [read](const cni::Invocation& invocation) {
    const AttachmentRequest request = read(invocation);
    status(request);
    call_delegate(request, cni::Command::kStatus);
  };
  plugin.undo_add = [read](const cni::Invocation& invocation) {
    Host host = Host::open();
    undo_attach(host, read(invocation));
  };
  plugin.plan = [read](const cni::Invocation& invocation) {
    Host host = Host::open();
    return to_json(plan_attach(host, read(invocation)));
  };
  return plugin;
}

}  // namespace netctl::engine
