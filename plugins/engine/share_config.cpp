#include "plugins/engine/share_config.hpp"

#include "base/error.hpp"
#include "plugins/cni/config_reader.hpp"
#include "plugins/cni/runtime_config.hpp"

namespace netctl::engine {
namespace {

void refuse_key(const cni::ConfigReader& config, const char* key, const std::string& why) {
  if (!config.has(key)) return;
  throw Error(ErrorCode::kUnsupportedField, "the key " + std::string(key) + " " + why, key);
}

void reject_wishes(const cni::RuntimeConfig& runtime, const char* part) {
  const bool any = !runtime.ips.empty() || runtime.mac || !runtime.ip_ranges.empty();
  if (!any) return;
  throw Error(ErrorCode::kUnsupportedField,
              std::string("an address of its own cannot be had with ") + part +
                  ": the namespace has its addresses already; leave ips, mac and ipRanges out");
}

}  // namespace

ShareRequest read_share_request(const cni::Invocation& invocation, const char* part,
                                std::vector<std::string_view> own_keys) {
  const cni::ConfigReader config(invocation.config, "");
  refuse_key(config, "ipam", "has no meaning where the namespace has its addresses already; leave it out");
  if (invocation.prev_result && invocation.command == cni::Command::kAdd) {
    config.complain("prevResult", std::string("cannot be continued: put ") + part + " first in the list");
  }
  own_keys.emplace_back("description");
  if (const auto own = config.object("netctl")) {
    const auto unknown = own->unknown_keys(own_keys);
    if (!unknown.empty()) {
      throw Error(ErrorCode::kUnsupportedField,
                  "the key netctl." + unknown.front() + " is not known to " + part +
                      "; see README for the keys of \"netctl\"",
                  unknown.front());
    }
  }
  const cni::RuntimeConfig runtime = cni::read_runtime_config(invocation);
  reject_wishes(runtime, part);
  ShareRequest request;
  request.key = {invocation.network, invocation.container_id, invocation.ifname};
  request.part = part;
  request.netns_path = invocation.netns;
  request.container_name = runtime.container_name;
  request.runtime = invocation.runtime;
  request.labels = runtime.labels;
  request.aliases = runtime.aliases;
  request.discarded_ports = runtime.port_mappings;
  if (const nlohmann::json* dns = config.raw("dns")) request.dns = cni::parse_dns(*dns, "dns");
  if (runtime.dns && !runtime.dns->is_empty()) request.dns = *runtime.dns;
  return request;
}

}  // namespace netctl::engine
