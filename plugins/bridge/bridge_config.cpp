#include "plugins/bridge/bridge_config.hpp"

#include <set>

#include "base/error.hpp"
#include "plugins/cni/config_reader.hpp"
#include "plugins/engine/ipam_config.hpp"

namespace netctl::bridge {
namespace {

constexpr std::int64_t kLargestMtu = 65535;

bool is_on(const cni::ConfigReader& reader, std::string_view key, bool otherwise = false) {
  return reader.boolean(key).value_or(otherwise);
}

constexpr std::int64_t kHighestVlan = 4094;

/// Ids and ranges as one list of ranges, in order and disjoint.
std::vector<std::pair<std::uint16_t, std::uint16_t>> read_vlan_trunk(const cni::ConfigReader& config) {
  std::set<std::uint16_t> ids;
  config.each_object("vlanTrunk", [&ids](const cni::ConfigReader& entry) {
    const auto first = entry.integer("minID", 1, kHighestVlan);
    const auto last = entry.integer("maxID", 1, kHighestVlan);
    const auto single = entry.integer("id", 1, kHighestVlan);
    if (first.has_value() != last.has_value()) {
      entry.complain(first ? "maxID" : "minID",
                     std::string("minID and maxID should be configured simultaneously, ") +
                         (first ? "maxID" : "minID") + " is missing");
    }
    if (first && *first > *last) entry.complain("minID", "minID is greater than maxID in trunk parameter");
    for (std::int64_t id = first.value_or(1); id <= last.value_or(0); ++id)
      ids.insert(static_cast<std::uint16_t>(id));
    if (single) ids.insert(static_cast<std::uint16_t>(*single));
  });
  std::vector<std::pair<std::uint16_t, std::uint16_t>> ranges;
  for (const std::uint16_t id : ids) {
    if (!ranges.empty() && ranges.back().second + 1 == id) {
      ranges.back().second = id;
    } else {
      ranges.emplace_back(id, id);
    }
  }
  return ranges;
}

engine::VlanSpec read_vlan(const cni::ConfigReader& config) {
  engine::VlanSpec vlan;
  vlan.access = static_cast<std::uint16_t>(config.integer("vlan", 0, kHighestVlan).value_or(0));
  vlan.trunk = read_vlan_trunk(config);
  vlan.keep_default = is_on(config, "preserveDefaultVlan", true);
  return vlan;
}

/// The gateway of a VLAN is an interface of its own, which needs a name.
void check_gateway_name(const cni::ConfigReader& config, const engine::AttachmentRequest& request,
                        const engine::VlanSpec& vlan) {
  constexpr std::size_t kLongestName = 15;
  if (vlan.access == 0 || !request.network.is_gateway) return;
  const std::string name = request.network.bridge + "." + std::to_string(vlan.access);
  if (name.size() <= kLongestName) return;
  config.complain("bridge", "with vlan and isGateway its name must leave room for the gateway's interface: " +
                                name + " is longer than 15 bytes; choose a shorter name");
}

std::string read_bridge_name(const cni::ConfigReader& config) {
  const std::string name = config.text("bridge").value_or("");
  if (name.empty()) return "cni0";
  const bool fits = name.size() <= 15 && name != "." && name != ".." &&
                    name.find_first_of("/:% \t\n\v\f\r") == std::string::npos;
  if (!fits) {
    config.complain("bridge", "is no interface name (1 to 15 bytes without '/', ':', '%' and white space)");
  }
  return name;
}

void check_masquerade_backend(const cni::ConfigReader& config) {
  const std::string backend = config.text("ipMasqBackend").value_or("");
  if (backend.empty() || backend == "nftables" || backend == "iptables") return;
  config.complain("ipMasqBackend", "must be \"iptables\" or \"nftables\"");
}

std::vector<IpPrefix> read_prefixes(const cni::ConfigReader& reader, std::string_view key) {
  std::vector<IpPrefix> prefixes;
  for (const std::string& text : reader.texts(key)) {
    const auto prefix = IpPrefix::parse_address_or_prefix(text);
    if (!prefix) reader.complain(key, "holds \"" + text + "\", which is no address and no CIDR");
    prefixes.push_back(*prefix);
  }
  return prefixes;
}

void read_own_keys(const cni::ConfigReader& own, engine::AttachmentRequest& request) {
  const auto unknown = own.unknown_keys({"isolation", "internal", "masqueradeExclude", "disableIPv6",
                                         "localhostPublish", "exclude", "description"});
  if (!unknown.empty()) {
    throw Error(ErrorCode::kUnsupportedField,
                "the key netctl." + unknown.front() + " with value " + own.raw(unknown.front())->dump() +
                    " is not known to this version; see README for the keys of \"netctl\"",
                unknown.front());
  }
  request.network.isolated = is_on(own, "isolation");
  request.network.internal = is_on(own, "internal");
  request.network.localhost_publish = is_on(own, "localhostPublish", true);
  request.network.masquerade_exclude = read_prefixes(own, "masqueradeExclude");
  request.endpoint.disable_ipv6 = is_on(own, "disableIPv6");
}

void read_network(const cni::ConfigReader& config, engine::AttachmentRequest& request) {
  engine::NetworkSpec& network = request.network;
  network.bridge = read_bridge_name(config);
  network.mtu_bytes = static_cast<std::uint32_t>(config.integer("mtu", 0, kLargestMtu).value_or(0));
  request.endpoint.default_gateway = is_on(config, "isDefaultGateway");
  network.is_gateway = is_on(config, "isGateway") || request.endpoint.default_gateway;
  network.force_address = is_on(config, "forceAddress");
  network.masquerade = is_on(config, "ipMasq");
  network.promiscuous = is_on(config, "promiscMode");
  check_masquerade_backend(config);
}

void reject_unusable(const cni::ConfigReader& config, const std::optional<MacAddress>& mac) {
  if (mac && (mac->is_multicast() || *mac == MacAddress{})) {
    config.complain("mac", "is no unicast address: " + mac->to_string());
  }
}

void read_endpoint(const cni::ConfigReader& config, const cni::RuntimeConfig& runtime,
                   engine::AttachmentRequest& request) {
  engine::EndpointSpec& endpoint = request.endpoint;
  endpoint.hairpin = is_on(config, "hairpinMode");
  endpoint.port_isolation = is_on(config, "portIsolation");
  endpoint.spoof_check = is_on(config, "macspoofchk");
  endpoint.detect_duplicates = is_on(config, "enabledad");
  endpoint.leave_down = is_on(config, "disableContainerInterface");
  endpoint.mac = config.mac("mac");
  reject_unusable(config, endpoint.mac);
  if (runtime.mac) endpoint.mac = runtime.mac;
  endpoint.ports = runtime.port_mappings;
  if (const nlohmann::json* dns = config.raw("dns")) endpoint.dns = cni::parse_dns(*dns, "dns");
  if (runtime.dns && !runtime.dns->is_empty()) endpoint.dns = *runtime.dns;
}

void check_combinations(const cni::ConfigReader& config, const engine::AttachmentRequest& request) {
  const engine::EndpointSpec& endpoint = request.endpoint;
  if (endpoint.hairpin && request.network.promiscuous) {
    config.complain("promiscMode",
                    "cannot set hairpin mode and promiscuous mode at the same time; switch one off");
  }
  if (endpoint.leave_down && request.addressing.kind != engine::Addressing::kNone) {
    config.complain("disableContainerInterface",
                    "cannot use IPAM when disableContainerInterface is set; leave ipam out, or the flag");
  }
  if (!endpoint.ports.empty() && request.addressing.kind == engine::Addressing::kNone) {
    config.complain("ipam", "is needed to publish ports: the container has no address otherwise");
  }
}

}  // namespace

engine::AttachmentRequest read_request(const cni::Invocation& invocation) {
  invocation.args.reject_unknown({"IP", "MAC"});
  const cni::ConfigReader config(invocation.config, "");
  const cni::RuntimeConfig runtime = cni::read_runtime_config(invocation);
  engine::AttachmentRequest request;
  request.key = {invocation.network, invocation.container_id, invocation.ifname};
  request.driver = "bridge";
  request.netns_path = invocation.netns;
  request.netns_override = invocation.netns_override;
  request.container_name = runtime.container_name;
  request.runtime = invocation.runtime;
  request.labels = runtime.labels;
  request.aliases = runtime.aliases;
  request.invocation = &invocation;
  const engine::VlanSpec vlan = read_vlan(config);
  request.link = engine::BridgePort{vlan};
  read_network(config, request);
  check_gateway_name(config, request, vlan);
  read_endpoint(config, runtime, request);
  if (const auto own = config.object("netctl")) read_own_keys(*own, request);
  request.addressing = engine::read_addressing(invocation, runtime);
  check_combinations(config, request);
  return request;
}

}  // namespace netctl::bridge
