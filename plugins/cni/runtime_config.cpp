#include "plugins/cni/runtime_config.hpp"

#include <algorithm>
#include <limits>

#include "base/error.hpp"
#include "plugins/cni/config_reader.hpp"
#include "plugins/cni/json_text.hpp"

namespace netctl::cni {
namespace {

constexpr std::int64_t kHighestPort = 65535;

std::string trimmed_lower(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

std::vector<std::string> split_by_comma(std::string_view text) {
  std::vector<std::string> parts;
  for (bool more = true; more;) {
    const std::size_t comma = text.find(',');
    more = comma != std::string_view::npos;
    parts.emplace_back(text.substr(0, comma));
    text.remove_prefix(more ? comma + 1 : text.size());
  }
  return parts;
}

template <typename T>
void append_new(std::vector<T>& list, T value) {
  if (std::find(list.begin(), list.end(), value) == list.end()) list.push_back(std::move(value));
}

std::vector<std::string> protocols_of(const ConfigReader& mapping) {
  const std::string text = mapping.text("protocol").value_or("");
  if (text.empty()) return {"tcp"};
  std::vector<std::string> protocols;
  for (const auto& part : split_by_comma(text)) {
    std::string protocol = trimmed_lower(part);
    if (protocol != "tcp" && protocol != "udp" && protocol != "sctp") {
      mapping.complain("protocol", "must be tcp, udp, sctp, or several of them with commas");
    }
    append_new(protocols, std::move(protocol));
  }
  return protocols;
}

void read_port_mapping(const ConfigReader& reader, std::vector<PortMapping>& mappings) {
  PortMapping mapping;
  mapping.host_ip = reader.address("hostIP");
  const auto host_port = reader.integer("hostPort", 0, kHighestPort).value_or(0);
  const auto container_port = reader.integer("containerPort", 1, kHighestPort);
  if (!container_port)
    reader.complain("containerPort", "is missing: name the port that the container listens on");
  const auto count = std::max<std::int64_t>(reader.integer("range", 0, kHighestPort).value_or(1), 1);
  if (std::max(host_port, *container_port) + count - 1 > kHighestPort) {
    reader.complain("range", "the last of " + std::to_string(count) + " ports is above 65535");
  }
  mapping.host_port = static_cast<std::uint16_t>(host_port);
  mapping.container_port = static_cast<std::uint16_t>(*container_port);
  mapping.count = static_cast<std::uint16_t>(count);
  for (auto& protocol : protocols_of(reader)) {
    mapping.protocol = std::move(protocol);
    mappings.push_back(mapping);
  }
}

void read_addresses(const ConfigReader& reader, std::vector<IpPrefix>& addresses) {
  for (const auto& text : reader.texts("ips")) {
    const auto address = IpPrefix::parse_address_or_prefix(text);
    if (!address) {
      reader.complain("ips",
                      "\"" + shortened(text) + "\" must be an IP address, with or without a prefix length");
    }
    append_new(addresses, *address);
  }
}

bool is_usable(const MacAddress& mac) { return !mac.is_multicast() && mac != MacAddress{}; }

void read_mac(const ConfigReader& reader, std::optional<MacAddress>& mac) {
  const auto wanted = reader.mac("mac");
  if (!wanted) return;
  if (!is_usable(*wanted))
    reader.complain("mac", "must be a unicast address: the first byte even, not all zero");
  mac = wanted;
}

void read_dns(const ConfigReader& reader, std::optional<Dns>& dns) {
  const auto entry = reader.object("dns");
  if (!entry) return;
  Dns wanted;
  wanted.nameservers = entry->texts("servers");
  wanted.search = entry->texts("searches");
  wanted.options = entry->texts("options");
  if (!wanted.is_empty()) dns = std::move(wanted);
}

std::vector<std::string> aliases_of(const ConfigReader& reader, const std::string& network) {
  const auto* value = reader.raw("aliases");
  if (value == nullptr || !value->is_object()) return reader.texts("aliases");
  return ConfigReader(*value, reader.path_of("aliases")).texts(network);
}

IpRangeSpec range_of(const ConfigReader& reader) {
  const auto subnet = reader.prefix("subnet");
  if (!subnet) reader.complain("subnet", "is missing");
  return {*subnet, reader.address("rangeStart"), reader.address("rangeEnd"), reader.address("gateway")};
}

void read_ranges(const ConfigReader& reader, std::vector<std::vector<IpRangeSpec>>& sets) {
  const auto* value = reader.raw("ipRanges");
  if (value == nullptr) return;
  if (!value->is_array()) reader.complain("ipRanges", "must be a list of lists of ranges");
  for (std::size_t i = 0; i < value->size(); ++i) {
    const auto& set = (*value)[i];
    if (!set.is_array()) reader.complain("ipRanges", "must be a list of lists of ranges");
    auto& ranges = sets.emplace_back();
    for (std::size_t j = 0; j < set.size(); ++j) {
      const std::string place = "[" + std::to_string(i) + "][" + std::to_string(j) + "]";
      ranges.push_back(range_of(ConfigReader(set[j], reader.path_of("ipRanges") + place, KeyCase::kIgnore)));
    }
  }
}

void read_runtime_keys(const ConfigReader& reader, const std::string& network, RuntimeConfig& config) {
  reader.each_object("portMappings",
                     [&](const ConfigReader& one) { read_port_mapping(one, config.port_mappings); });
  read_addresses(reader, config.ips);
  read_mac(reader, config.mac);
  read_dns(reader, config.dns);
  config.aliases = aliases_of(reader, network);
  read_ranges(reader, config.ip_ranges);
}

void read_args_keys(const ConfigReader& reader, RuntimeConfig& config) {
  read_addresses(reader, config.ips);
  std::optional<MacAddress> mac;
  read_mac(reader, mac);
  if (!config.mac) config.mac = mac;
  reader.each_object("labels", [&](const ConfigReader& label) {
    const auto key = label.text("key");
    if (!key || key->empty()) label.complain("key", "is missing");
    config.labels[*key] = label.text("value").value_or("");
  });
}

void read_requested_ip(const Args& args, std::vector<IpPrefix>& addresses) {
  const std::string value = args.find("IP").value_or("");
  if (value.empty()) return;
  for (const auto& text : split_by_comma(value)) {
    const auto address = IpPrefix::parse_address_or_prefix(text);
    if (!address) {
      throw Error(
          ErrorCode::kInvalidEnvironment,
          "CNI_ARGS: IP=" + shortened(value) + " must be an IP address, with or without a prefix length");
    }
    append_new(addresses, *address);
  }
}

void read_requested_mac(const Args& args, std::optional<MacAddress>& mac) {
  const std::string value = args.find("MAC").value_or("");
  if (value.empty()) return;
  mac = MacAddress::parse(value);
  if (mac && is_usable(*mac)) return;
  throw Error(ErrorCode::kInvalidEnvironment, "CNI_ARGS: MAC=" + shortened(value) +
                                                  " must be a unicast MAC address such as 02:00:00:00:00:01");
}

void read_args(const Args& args, RuntimeConfig& config) {
  // CONVENTIONS.md: whoever finds a value in the configuration ignores that of CNI_ARGS, even a wrong one.
  if (config.ips.empty()) read_requested_ip(args, config.ips);
  if (!config.mac) read_requested_mac(args, config.mac);
  if (const auto pod_namespace = args.find("K8S_POD_NAMESPACE")) {
    config.labels.emplace("K8S_POD_NAMESPACE", *pod_namespace);
  }
  config.container_name = args.find("K8S_POD_NAME").value_or("");
  const auto label = config.labels.find("name");
  if (config.container_name.empty() && label != config.labels.end()) config.container_name = label->second;
}

}  // namespace

RuntimeConfig read_runtime_config(const Invocation& invocation) {
  RuntimeConfig config;
  const ConfigReader whole(invocation.config, "");
  if (const auto* keys = whole.raw("runtimeConfig")) {
    read_runtime_keys(ConfigReader(*keys, "runtimeConfig", KeyCase::kIgnore), invocation.network, config);
  }
  const auto args = whole.object("args");
  if (const auto* keys = args ? args->raw("cni") : nullptr) {
    read_args_keys(ConfigReader(*keys, "args.cni", KeyCase::kIgnore), config);
  }
  read_args(invocation.args, config);
  return config;
}

}  // namespace netctl::cni
