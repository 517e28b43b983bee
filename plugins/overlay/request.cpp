#include "plugins/overlay/request.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "plugins/cni/config_reader.hpp"
#include "plugins/cni/names.hpp"
#include "plugins/engine/reference_leases.hpp"

namespace netctl::overlay {
namespace {

bool is_on(const cni::ConfigReader& reader, std::string_view key, bool otherwise) {
  return reader.boolean(key).value_or(otherwise);
}

std::string read_bridge_name(const cni::ConfigReader& config, const std::string& network) {
  std::string name = config.text("bridge").value_or("");
  if (name.empty()) return "nb" + hash_parts({"overlay-bridge", network}).hex(13);
  if (const auto problem = cni::interface_name_problem(name); !problem.empty()) {
    config.complain("bridge", "is no interface name: " + std::string(problem));
  }
  return name;
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
  const auto unknown =
      own.unknown_keys({"masqueradeExclude", "disableIPv6", "localhostPublish", "exclude", "description"});
  if (!unknown.empty()) {
    throw Error(ErrorCode::kUnsupportedField,
                "the key netctl." + unknown.front() + " with value " + own.raw(unknown.front())->dump() +
                    " is not offered by overlay; see README for its keys",
                unknown.front());
  }
  request.network.localhost_publish = is_on(own, "localhostPublish", true);
  request.network.masquerade_exclude = read_prefixes(own, "masqueradeExclude");
  request.endpoint.disable_ipv6 = is_on(own, "disableIPv6", false);
  request.addressing.exclude = read_prefixes(own, "exclude");
}

void refuse_what_is_not_offered(const cni::ConfigReader& config) {
  const nlohmann::json* ipam = config.raw("ipam");
  if (ipam == nullptr || (ipam->is_object() && ipam->empty())) return;
  throw Error(ErrorCode::kUnsupportedField,
              "the key ipam is not offered by overlay: containers get addresses of the node's own blocks; "
              "leave it out",
              "ipam");
}

/// Other nodes work the hardware address out; another one would not be reached.
void refuse_mac(const OverlayConfig& config, const cni::RuntimeConfig& runtime) {
  if (config.mode != Mode::kL2 || !runtime.mac) return;
  throw Error(ErrorCode::kUnsupportedField,
              "a hardware address of one's own (" + runtime.mac->to_string() +
                  ") is not offered in mode l2: other nodes work it out from the IP address; leave it out, "
                  "or use mode "
                  "routed",
              "mac");
}

ipam::RangeSpec range_in(const IpPrefix& block, const IpPrefix& subnet) {
  const IpAddress first = IpAddress::from_number(block.address.family(), block.first().number() + 2);
  IpAddress last = block.last();
  if (last == subnet.last() && last.is_v4()) last = IpAddress::from_number(Family::kIpv4, last.number() - 1);
  return {subnet, first, last, gateway_in(block)};
}

const IpPrefix& subnet_of(const Lease& lease, const IpPrefix& block) {
  for (const IpPrefix& subnet : lease.subnets) {
    if (subnet.contains(block.address)) return subnet;
  }
  throw Error(ErrorCode::kInternal, "the block " + block.to_string() + " lies outside of the overlay");
}

/// A node may have several blocks of one family: they are one set of ranges, of which one address is leased.
std::vector<std::vector<ipam::RangeSpec>> range_sets(const Lease& lease) {
  std::vector<std::vector<ipam::RangeSpec>> sets;
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    // l2 with both: the IPv6 address follows from the IPv4 one.
    if (lease.mode == Mode::kL2 && !sets.empty()) continue;
    std::vector<ipam::RangeSpec> ranges;
    for (const IpPrefix& block : lease.blocks) {
      if (block.address.family() != family) continue;
      ranges.push_back(range_in(block, lease.mode == Mode::kL2 ? subnet_of(lease, block) : block));
    }
    if (!ranges.empty()) sets.push_back(std::move(ranges));
  }
  return sets;
}

}  // namespace

engine::AttachmentRequest read_request(const cni::Invocation& invocation, const OverlayConfig& overlay) {
  invocation.args.reject_unknown({"IP", "MAC"});
  const cni::ConfigReader config(invocation.config, "");
  const cni::RuntimeConfig runtime = cni::read_runtime_config(invocation);
  refuse_what_is_not_offered(config);
  refuse_mac(overlay, runtime);
  engine::AttachmentRequest request;
  request.key = {invocation.network, invocation.container_id, invocation.ifname};
  request.driver = "overlay";
  request.netns_path = invocation.netns;
  request.netns_override = invocation.netns_override;
  request.container_name = runtime.container_name;
  request.runtime = invocation.runtime;
  request.labels = runtime.labels;
  request.aliases = runtime.aliases;
  request.invocation = &invocation;
  request.network.bridge = read_bridge_name(config, invocation.network);
  request.network.is_gateway = true;
  request.network.masquerade = is_on(config, "ipMasq", true);
  request.endpoint.default_gateway = is_on(config, "isDefaultGateway", true);
  request.endpoint.hairpin = is_on(config, "hairpinMode", false);
  request.endpoint.spoof_check = is_on(config, "macspoofchk", false);
  request.endpoint.mac = runtime.mac;
  request.endpoint.ports = runtime.port_mappings;
  if (const nlohmann::json* dns = config.raw("dns")) request.endpoint.dns = cni::parse_dns(*dns, "dns");
  if (runtime.dns && !runtime.dns->is_empty()) request.endpoint.dns = *runtime.dns;
  request.addressing.kind = engine::Addressing::kPool;
  request.addressing.data_directory = engine::ReferenceLeases::kDefaultDirectory;
  for (const IpPrefix& prefix : runtime.ips) request.addressing.wanted.push_back(prefix.address);
  if (const auto own = config.object("netctl")) read_own_keys(*own, request);
  return request;
}

void apply_lease(const engine::OverlaySpec& overlay, engine::AttachmentRequest& request) {
  const Lease& lease = overlay.lease;
  request.network.overlay = overlay;
  request.network.mtu_bytes = lease.mtu_bytes;
  request.addressing.sets = range_sets(lease);
  for (const IpPrefix& subnet : lease.subnets) {
    request.network.masquerade_exclude.push_back(subnet);
    const bool has_block =
        std::any_of(lease.blocks.begin(), lease.blocks.end(),
                    [&subnet](const IpPrefix& block) { return subnet.contains(block.address); });
    if (lease.mode != Mode::kRouted || !has_block) continue;
    cni::ResultRoute route;  // also where the default route leads through another interface
    route.destination = subnet;
    for (const IpPrefix& block : lease.blocks) {
      if (subnet.contains(block.address) && !route.gateway) route.gateway = gateway_in(block);
    }
    request.addressing.routes.push_back(route);
  }
}

}  // namespace netctl::overlay
