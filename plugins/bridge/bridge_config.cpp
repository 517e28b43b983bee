#include "plugins/bridge/bridge_config.hpp"

#include "base/error.hpp"
#include "plugins/cni/config_reader.hpp"
#include "plugins/engine/ipam_config.hpp"

namespace netctl::bridge {
namespace {

constexpr std::int64_t kLargestMtu = 65535;

bool is_on(const cni::ConfigReader& reader, std::string_view key, bool otherwise = false) {
  return reader.boolean(key).value_or(otherwise);
}

void refuse_vlan_keys(const cni::ConfigReader& config) {
  const auto vlan = config.integer("vlan", 0, 4094);
  const nlohmann::json* trunk = config.raw("vlanTrunk");
  const bool wants_trunk = trunk != nullptr && !(trunk->is_array() && trunk->empty());
  if (vlan.value_or(0) == 0 && !wants_trunk && !is_on(config, "preserveDefaultVlan")) return;
  const char* key = vlan.value_or(0) != 0 ? "vlan" : (wants_trunk ? "vlanTrunk" : "preserveDefaultVlan");
  throw Error(ErrorCode::kUnsupportedField,
              std::string("the key ") + key + " with value " + config.raw(key)->dump() +
                  " needs bridge VLAN filtering, which this version does not program; leave it out",
              key);
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
  refuse_vlan_keys(config);
  read_network(config, request);
  read_endpoint(config, runtime, request);
  if (const auto own = config.object("netctl")) read_own_keys(*own, request);
  request.addressing = engine::read_addressing(invocation, runtime);
  check_combinations(config, request);
  return request;
}

}  // namespace netctl::bridge
