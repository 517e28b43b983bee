#include "plugins/engine/link_config.hpp"

#include "base/error.hpp"
#include "plugins/cni/names.hpp"
#include "plugins/engine/ipam_config.hpp"

namespace netctl::engine {
namespace {

constexpr std::int64_t kLargestMtu = 65535;

void read_own_keys(const cni::ConfigReader& own, const std::vector<std::string_view>& own_keys,
                   AttachmentRequest& request) {
  std::vector<std::string_view> known = own_keys;
  known.insert(known.end(), {"exclude", "description", "disableIPv6"});
  const auto unknown = own.unknown_keys(known);
  if (!unknown.empty()) {
    throw Error(ErrorCode::kUnsupportedField,
                "the key netctl." + unknown.front() + " with value " + own.raw(unknown.front())->dump() +
                    " is not offered by " + request.driver + "; see README for the keys of \"netctl\"",
                unknown.front());
  }
  (void)own.text("description");
  request.endpoint.disable_ipv6 = own.boolean("disableIPv6").value_or(false);
}

}  // namespace

AttachmentRequest read_link_request(const cni::Invocation& invocation, const cni::RuntimeConfig& runtime,
                                    const std::string& driver,
                                    const std::vector<std::string_view>& own_keys) {
  const cni::ConfigReader config(invocation.config, "");
  AttachmentRequest request;
  request.key = {invocation.network, invocation.container_id, invocation.ifname};
  request.driver = driver;
  request.netns_path = invocation.netns;
  request.netns_override = invocation.netns_override;
  request.container_name = runtime.container_name;
  request.labels = runtime.labels;
  request.aliases = runtime.aliases;
  request.invocation = &invocation;
  request.network.mtu_bytes = static_cast<std::uint32_t>(config.integer("mtu", 0, kLargestMtu).value_or(0));
  if (const nlohmann::json* dns = config.raw("dns")) request.endpoint.dns = cni::parse_dns(*dns, "dns");
  if (runtime.dns && !runtime.dns->is_empty()) request.endpoint.dns = *runtime.dns;
  request.endpoint.mac = runtime.mac;
  if (const auto own = config.object("netctl")) read_own_keys(*own, own_keys, request);
  request.addressing = read_addressing(invocation, runtime);
  return request;
}

std::optional<MacAddress> read_unicast_mac(const cni::ConfigReader& config, std::string_view key) {
  const auto mac = config.mac(key);
  if (mac && (mac->is_multicast() || *mac == MacAddress{})) {
    config.complain(key, "is no unicast address: " + mac->to_string());
  }
  return mac;
}

std::optional<std::string> read_interface_name(const cni::ConfigReader& config, std::string_view key) {
  const auto name = config.text(key);
  if (!name || name->empty()) return std::nullopt;
  const std::string_view problem = cni::interface_name_problem(*name);
  if (!problem.empty()) config.complain(key, "is no interface name: " + std::string(problem));
  return name;
}

void check_masquerade_backend(const cni::ConfigReader& config) {
  const std::string backend = config.text("ipMasqBackend").value_or("");
  if (backend.empty() || backend == "nftables" || backend == "iptables") return;
  config.complain("ipMasqBackend", "must be \"iptables\" or \"nftables\"");
}

std::vector<IpPrefix> read_prefixes(const cni::ConfigReader& config, std::string_view key) {
  std::vector<IpPrefix> prefixes;
  for (const std::string& text : config.texts(key)) {
    const auto prefix = IpPrefix::parse_address_or_prefix(text);
    if (!prefix) config.complain(key, "holds \"" + text + "\", which is no address and no CIDR");
    prefixes.push_back(*prefix);
  }
  return prefixes;
}

}  // namespace netctl::engine
