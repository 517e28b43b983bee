#include "plugins/bandwidth/bandwidth_config.hpp"

#include <algorithm>
#include <limits>

#include "base/error.hpp"
#include "plugins/cni/config_reader.hpp"
#include "plugins/cni/runtime_config.hpp"

namespace netctl::bandwidth {
namespace {

constexpr std::int64_t kBitsPerByte = 8;
constexpr std::int64_t kBurstLimitBits = 8LL * std::numeric_limits<std::uint32_t>::max();
constexpr const char* kKeys[] = {"ingressRate", "ingressBurst",  "egressRate",
                                 "egressBurst", "shapedSubnets", "unshapedSubnets"};

std::optional<netlink::RateLimit> read_limit(const cni::ConfigReader& reader, const std::string& direction) {
  const std::string rate_key = direction + "Rate";
  const std::string burst_key = direction + "Burst";
  constexpr std::int64_t kHighest = std::numeric_limits<std::int64_t>::max();
  const std::int64_t rate = reader.integer(rate_key, 0, kHighest).value_or(0);
  const std::int64_t burst = reader.integer(burst_key, 0, kHighest).value_or(0);
  if (rate == 0 && burst == 0) return std::nullopt;
  if (burst == 0) reader.complain(rate_key, "if rate is set, burst must also be set");
  if (rate == 0) reader.complain(burst_key, "if burst is set, rate must also be set");
  if (burst >= kBurstLimitBits) reader.complain(burst_key, "burst cannot be more than 4GB");
  if (rate < kBitsPerByte) reader.complain(rate_key, "must be at least 8 bits a second");
  if (burst < kBitsPerByte) reader.complain(burst_key, "must be at least 8 bits");
  return netlink::RateLimit{static_cast<std::uint64_t>(rate / kBitsPerByte),
                            static_cast<std::uint32_t>(burst / kBitsPerByte)};
}

std::vector<IpPrefix> read_subnets(const cni::ConfigReader& reader, const char* key) {
  std::vector<IpPrefix> subnets;
  for (const std::string& text : reader.texts(key)) {
    const auto subnet = IpPrefix::parse(text);
    if (!subnet) reader.complain(key, "bad subnet \"" + text + "\" provided: write 10.1.0.0/16 or fd00::/64");
    const IpPrefix network = subnet->network();
    if (std::find(subnets.begin(), subnets.end(), network) == subnets.end()) subnets.push_back(network);
  }
  return subnets;
}

void read_limits(const cni::ConfigReader& reader, engine::BandwidthRequest& request) {
  request.ingress = read_limit(reader, "ingress");
  request.egress = read_limit(reader, "egress");
  const std::vector<IpPrefix> shaped = read_subnets(reader, "shapedSubnets");
  const std::vector<IpPrefix> unshaped = read_subnets(reader, "unshapedSubnets");
  if (!shaped.empty() && !unshaped.empty()) {
    reader.complain(
        "unshapedSubnets",
        "unshapedSubnets and shapedSubnets cannot be both specified, one of them should be discarded");
  }
  request.only_subnets = !shaped.empty();
  request.subnets = shaped.empty() ? unshaped : shaped;
}

}  // namespace

engine::BandwidthRequest read_request(const cni::Invocation& invocation) {
  const cni::RuntimeConfig runtime = cni::read_runtime_config(invocation);
  engine::BandwidthRequest request;
  request.key = {invocation.network, invocation.container_id, invocation.ifname};
  request.netns_path = invocation.netns;
  request.netns_override = invocation.netns_override;
  request.container_name = runtime.container_name;
  const cni::ConfigReader config(invocation.config, "", cni::KeyCase::kIgnore);
  const bool in_config =
      std::any_of(std::begin(kKeys), std::end(kKeys), [&config](const char* key) { return config.has(key); });
  const auto granted = config.object("runtimeConfig");
  const auto from_runtime = granted ? granted->object("bandwidth") : std::nullopt;
  if (in_config) {
    read_limits(config, request);
  } else if (from_runtime) {
    read_limits(*from_runtime, request);
  }
  return request;
}

}  // namespace netctl::bandwidth
