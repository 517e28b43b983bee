#include "plugins/container-share/share_options.hpp"

#include <algorithm>

#include "plugins/cni/config_reader.hpp"
#include "plugins/cni/runtime_config.hpp"
#include "plugins/engine/share_config.hpp"
#include "plugins/engine/sharing.hpp"

namespace netctl::container_share {
namespace {

constexpr const char* kAnnotations = "io.kubernetes.cri.pod-annotations";

bool read_on_owner_exit(const cni::ConfigReader& own) {
  const std::string choice = own.text("onOwnerExit").value_or("keep");
  if (choice != "keep" && choice != "release") own.complain("onOwnerExit", "must be \"keep\" or \"release\"");
  return choice == "keep";
}

std::string read_target(const cni::Invocation& invocation, const cni::ConfigReader& config) {
  if (const auto* keys = config.raw("runtimeConfig")) {
    const cni::ConfigReader runtime(*keys, "runtimeConfig", cni::KeyCase::kIgnore);
    const std::string share = runtime.text("share").value_or("");
    if (!share.empty()) return share;
    const auto annotations = runtime.object(kAnnotations);
    const std::string annotation = annotations ? annotations->text("io.netctl.share").value_or("") : "";
    if (!annotation.empty()) return annotation;
  }
  const auto args = config.object("args");
  const auto* cni_args = args ? args->raw("cni") : nullptr;
  if (cni_args != nullptr) {
    const std::string share =
        cni::ConfigReader(*cni_args, "args.cni", cni::KeyCase::kIgnore).text("share").value_or("");
    if (!share.empty()) return share;
  }
  const std::string share = invocation.args.find("SHARE").value_or("");
  if (!share.empty()) return share;
  const auto own = config.object("netctl");
  return own ? own->text("share").value_or("") : "";
}

}  // namespace

engine::ShareRequest read_request(const cni::Invocation& invocation) {
  invocation.args.reject_unknown({"SHARE", "K8S_POD_NAME"});
  const cni::ConfigReader config(invocation.config, "");
  engine::ShareRequest request =
      engine::read_share_request(invocation, engine::kSharePart, {"share", "allowHost", "onOwnerExit"});
  request.discarded_ports.clear();
  request.target = read_target(invocation, config);
  if (const auto own = config.object("netctl")) {
    request.allow_host = own->boolean("allowHost").value_or(false);
    request.keep_owner = read_on_owner_exit(*own);
  }
  return request;
}

engine::PublishRequest read_ports(const cni::Invocation& invocation, const cni::Result& shared) {
  const cni::RuntimeConfig runtime = cni::read_runtime_config(invocation);
  engine::PublishRequest request;
  request.key = {invocation.network, invocation.container_id, invocation.ifname};
  request.netns_path = invocation.netns;
  request.ports = runtime.port_mappings;
  request.container_name = runtime.container_name;
  const auto add_first_of_family = [&](const std::string& ifname) {
    for (const cni::ResultIp& ip : shared.ips) {
      const auto& interface = shared.interfaces[static_cast<std::size_t>(ip.interface.value_or(0))];
      const bool known = std::any_of(
          request.targets.begin(), request.targets.end(),
          [&ip](const IpAddress& target) { return target.family() == ip.address.address.family(); });
      if (!known && interface.name == ifname) request.targets.push_back(ip.address.address);
    }
  };
  add_first_of_family(invocation.ifname);
  if (request.targets.empty() && !shared.interfaces.empty())
    add_first_of_family(shared.interfaces.front().name);
  return request;
}

}  // namespace netctl::container_share
