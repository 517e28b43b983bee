#include "plugins/tuning/tuning_config.hpp"

#include <algorithm>
#include <limits>
#include <map>

#include "base/error.hpp"
#include "plugins/cni/config_reader.hpp"
#include "plugins/cni/json_text.hpp"
#include "plugins/cni/runtime_config.hpp"

namespace netctl::tuning {
namespace {

constexpr std::int64_t kSmallestMtu = 68;  // of IPv4 (RFC 791)
constexpr std::int64_t kLargestMtu = 65535;
constexpr std::size_t kLongestValue = 1024;

/// A value as one line of printable ASCII: it is handed to the kernel as it is.
void check_value(const cni::ConfigReader& sysctls, const std::string& key, const std::string& value) {
  if (value.empty() || value.size() > kLongestValue) sysctls.complain(key, "must have 1 to 1024 characters");
  const bool printable =
      std::all_of(value.begin(), value.end(), [](char c) { return c == '\t' || (c >= ' ' && c <= '~'); });
  if (!printable) sysctls.complain(key, "must be one line of printable ASCII characters");
}

void refuse_repeated_sysctls(const cni::Invocation& invocation) {
  for (const std::string& place : cni::find_repeated_keys(invocation.config_text)) {
    for (const std::string_view object : {"sysctl", "args/cni/sysctl"}) {
      const bool is_it = place == object;
      const bool is_inside = place.rfind(std::string(object) + "/", 0) == 0;
      if (!is_it && !is_inside) continue;
      throw Error(ErrorCode::kInvalidConfig,
                  "sysctl: duplicated sysctl keys are not allowed; leave one of each out",
                  cni::shortened(place));
    }
  }
}

/// Path -> (key as it was spelled, value).
using Sysctls = std::map<std::string, std::pair<std::string, std::string>>;

void read_sysctls(const cni::ConfigReader& reader, const std::string& ifname, Sysctls& sysctls) {
  const auto object = reader.object("sysctl");
  if (!object || !object->json().is_object()) return;
  std::map<std::string, std::string> spelled;  // real path -> key: two spellings of one sysctl would race
  for (const auto& [key, unused] : object->json().items()) {
    (void)unused;
    const auto value = object->text(key);
    if (!value) continue;
    check_value(*object, key, *value);
    const std::string path = sysctl_path(key);
    const std::string real = engine::tuned_path(path, ifname);
    if (!spelled.emplace(real, key).second) {
      throw Error(ErrorCode::kInvalidConfig,
                  "sysctl: duplicated sysctl keys are not allowed: " + key + " and " + spelled[real] +
                      " are the same; leave one out",
                  key);
    }
    // What comes later (args.cni) takes the place of what came first, however either was spelled.
    for (auto other = sysctls.begin(); other != sysctls.end();) {
      other = engine::tuned_path(other->first, ifname) == real ? sysctls.erase(other) : std::next(other);
    }
    sysctls[path] = {key, *value};
  }
}

void read_link_settings(const cni::ConfigReader& reader, engine::TuningRequest& request) {
  const auto mtu = reader.integer("mtu", 0, kLargestMtu);
  if (mtu && *mtu != 0 && *mtu < kSmallestMtu) reader.complain("mtu", "must be 0 (as it is) or 68 to 65535");
  if (mtu) request.mtu_bytes = *mtu == 0 ? std::nullopt : std::optional(static_cast<std::uint32_t>(*mtu));
  if (const auto on = reader.boolean("promisc"))
    request.promiscuous = *on ? std::optional(true) : std::nullopt;
  if (const auto on = reader.boolean("allmulti")) request.all_multicast = on;
  // The kernel takes 32 bits and warns of none; a queue of more than an int cannot be compared with.
  if (const auto length = reader.integer("txQLen", 0, std::numeric_limits<std::int32_t>::max())) {
    request.tx_queue_length = static_cast<std::uint32_t>(*length);
  }
}

std::optional<MacAddress> read_mac(const cni::ConfigReader& config) {
  const auto mac = config.mac("mac");
  if (mac && (mac->is_multicast() || *mac == MacAddress{})) {
    config.complain("mac", "must be a unicast address: the first byte even, not all zero");
  }
  return mac;
}

}  // namespace

engine::TuningRequest read_request(const cni::Invocation& invocation, const std::string& allowlist_file) {
  invocation.args.reject_unknown({"MAC"});
  refuse_repeated_sysctls(invocation);
  const cni::ConfigReader config(invocation.config, "");
  const cni::RuntimeConfig runtime = cni::read_runtime_config(invocation);
  engine::TuningRequest request;
  request.key = {invocation.network, invocation.container_id, invocation.ifname};
  request.netns_path = invocation.netns;
  request.netns_override = invocation.netns_override;
  request.container_name = runtime.container_name;
  (void)config.text("dataDir");
  Sysctls sysctls;
  read_sysctls(config, invocation.ifname, sysctls);
  read_link_settings(config, request);
  request.mac = read_mac(config);
  const auto args = config.object("args");
  if (const auto cni_args = args ? args->object("cni") : std::nullopt) {
    read_sysctls(*cni_args, invocation.ifname, sysctls);
    read_link_settings(*cni_args, request);
  }
  if (runtime.mac) request.mac = runtime.mac;
  for (const auto& [path, spelled] : sysctls) {
    require_allowed(spelled.first, allowlist_file);
    request.sysctls.emplace_back(path, spelled.second);
  }
  return request;
}

}  // namespace netctl::tuning
