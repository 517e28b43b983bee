#include "plugins/macvlan/macvlan_config.hpp"

#include <limits>

#include "base/error.hpp"
#include "plugins/engine/link_config.hpp"

namespace netctl::macvlan {
namespace {

engine::Macvlan read_spec(const cni::ConfigReader& config) {
  engine::Macvlan spec;
  spec.master = engine::read_interface_name(config, "master").value_or("");
  const std::string mode = config.text("mode").value_or("");
  if (!mode.empty()) {
    const auto known = netlink::parse_macvlan_mode(mode);
    if (!known) {
      config.complain("mode",
                      "unknown macvlan mode: \"" + mode + "\"; it must be bridge, private, vepa or passthru");
    }
    spec.mode = *known;
  }
  spec.master_in_container = config.boolean("linkInContainer").value_or(false);
  const auto length = config.integer("bcqueuelen", 0, std::numeric_limits<std::uint32_t>::max());
  if (length.value_or(0) != 0) spec.broadcast_queue_length = static_cast<std::uint32_t>(*length);
  return spec;
}

void refuse(const std::string& key, const std::string& value, const std::string& reason) {
  throw Error(ErrorCode::kUnsupportedField,
              "the key " + key + " with value " + value + " is not offered: " + reason, key);
}

}  // namespace

engine::AttachmentRequest read_request(const cni::Invocation& invocation) {
  invocation.args.reject_unknown({"IP", "MAC"});
  const cni::ConfigReader config(invocation.config, "");
  const cni::RuntimeConfig runtime = cni::read_runtime_config(invocation);
  engine::AttachmentRequest request = engine::read_link_request(invocation, runtime, "macvlan", {});
  const engine::Macvlan spec = read_spec(config);
  const auto configured = engine::read_unicast_mac(config, "mac");
  if (!request.endpoint.mac) request.endpoint.mac = configured;
  if (spec.mode == netlink::MacvlanMode::kPassthru && request.endpoint.mac) {
    refuse("mac", request.endpoint.mac->to_string(),
           "in mode passthru the interface has its master's address; leave one of the two out");
  }
  if (!runtime.port_mappings.empty()) {
    refuse("runtimeConfig.portMappings", std::to_string(runtime.port_mappings.size()) + " entries",
           "the host does not see a macvlan's packets; connect to the container's own address");
  }
  request.link = spec;
  return request;
}

}  // namespace netctl::macvlan
