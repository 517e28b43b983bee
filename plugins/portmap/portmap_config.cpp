#include "plugins/portmap/portmap_config.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "plugins/cni/config_reader.hpp"
#include "plugins/cni/runtime_config.hpp"

namespace netctl::portmap {
namespace {

void refuse(const cni::ConfigReader& config, const char* key, const char* instead) {
  throw Error(ErrorCode::kUnsupportedField,
              std::string("the key ") + key + " with value " + config.raw(key)->dump() +
                  " is not offered: published ports are elements of one nf_tables map; " + instead,
              key);
}

constexpr const char* kMarkChainOfKubeProxy = "KUBE-MARK-MASQ";

void check_types_and_refuse(const cni::ConfigReader& config) {
  const std::string backend = config.text("backend").value_or("");
  if (!backend.empty() && backend != "iptables" && backend != "nftables") {
    config.complain("backend", "must be \"iptables\" or \"nftables\"");
  }
  constexpr std::int64_t kHighestBit = 31;
  const auto mark_bit = config.integer("markMasqBit", 0, kHighestBit);
  const auto mark_chain = config.text("externalSetMarkChain");
  if (mark_bit && mark_chain) {
    config.complain("externalSetMarkChain", "cannot be combined with markMasqBit; leave one out");
  }
  // Which bit the reference marks the packets with that it masquerades later, or that kube-proxy does for it. Here they are
  // masqueraded without a mark: the outcome is the same, and the bit stays free for everybody.
  if (mark_chain && !mark_chain->empty() && *mark_chain != kMarkChainOfKubeProxy) {
    refuse(
        config, "externalSetMarkChain",
        "packets are masqueraded without a mark, which does what KUBE-MARK-MASQ is for and no other chain");
  }
  if (config.boolean("masqAll").value_or(false) && config.boolean("snat").value_or(true))
    refuse(config, "masqAll", "leave it out, the client's address is kept");
  for (const char* key : {"conditionsV4", "conditionsV6"}) {
    if (!config.texts(key).empty()) refuse(config, key, "put such rules into the chain user-prerouting");
  }
}

std::vector<IpAddress> targets_in(const cni::Result& result, const std::string& ifname) {
  std::vector<IpAddress> targets;
  for (const cni::ResultIp& ip : result.ips) {
    const bool has_interface = ip.interface && *ip.interface >= 0 &&
                               static_cast<std::size_t>(*ip.interface) < result.interfaces.size();
    if (has_interface) {
      const cni::Interface& interface = result.interfaces[static_cast<std::size_t>(*ip.interface)];
      if (interface.name != ifname || interface.sandbox.empty()) continue;
    }
    const bool family_known = std::any_of(targets.begin(), targets.end(), [&ip](const IpAddress& target) {
      return target.family() == ip.address.address.family();
    });
    if (!family_known) targets.push_back(ip.address.address);
  }
  return targets;
}

}  // namespace

engine::PublishRequest read_request(const cni::Invocation& invocation) {
  const cni::ConfigReader config(invocation.config, "");
  check_types_and_refuse(config);
  const cni::RuntimeConfig runtime = cni::read_runtime_config(invocation);
  engine::PublishRequest request;
  request.key = {invocation.network, invocation.container_id, invocation.ifname};
  request.netns_path = invocation.netns;
  request.ports = runtime.port_mappings;
  request.masquerade_local = config.boolean("snat").value_or(true);
  request.container_name = runtime.container_name;
  if (invocation.prev_result) request.targets = targets_in(*invocation.prev_result, invocation.ifname);
  return request;
}

}  // namespace netctl::portmap
