#include "plugins/ptp/ptp_config.hpp"

#include "base/error.hpp"
#include "plugins/engine/link_config.hpp"

namespace netctl::ptp {

engine::AttachmentRequest read_request(const cni::Invocation& invocation) {
  const cni::ConfigReader config(invocation.config, "");
  const cni::RuntimeConfig runtime = cni::read_runtime_config(invocation);
  engine::AttachmentRequest request =
      engine::read_link_request(invocation, runtime, "ptp", {"localhostPublish", "masqueradeExclude"});
  request.link = engine::PointToPoint{};
  request.network.masquerade = config.boolean("ipMasq").value_or(false);
  engine::check_masquerade_backend(config);
  request.endpoint.ports = runtime.port_mappings;
  if (const auto own = config.object("netctl")) {
    request.network.localhost_publish = own->boolean("localhostPublish").value_or(true);
    request.network.masquerade_exclude = engine::read_prefixes(*own, "masqueradeExclude");
  }
  if (request.addressing.kind == engine::Addressing::kNone) {
    config.complain("ipam", "no plugin name provided: ptp needs addresses; add ipam with a type");
  }
  return request;
}

}  // namespace netctl::ptp
