#include "plugins/engine/static_config.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "plugins/cni/config_reader.hpp"
#include "plugins/cni/version.hpp"
#include "plugins/engine/ipam_config.hpp"

namespace netctl::engine {
namespace {

constexpr const char* kCidrExpected =
    " is expected to be in CIDR notation, such as 10.0.0.5/24 or fd00::5/64, got: ";

bool is_multicast(const IpAddress& address) {
  return IpPrefix::parse(address.is_v4() ? "224.0.0.0/4" : "ff00::/8").value().contains(address);
}

/// nullopt when it is no CIDR, or an address that no interface can have.
std::optional<IpPrefix> parse_interface_address(const std::string& text) {
  const auto prefix = IpPrefix::parse(text);
  if (!prefix || prefix->address.is_unspecified() || is_multicast(prefix->address)) return std::nullopt;
  return prefix;
}

std::vector<ipam::LeaseRecord> read_addresses(const cni::ConfigReader& ipam) {
  std::vector<ipam::LeaseRecord> addresses;
  ipam.each_object("addresses", [&addresses](const cni::ConfigReader& entry) {
    const std::string text = entry.text("address").value_or("");
    const auto address = parse_interface_address(text);
    if (!address)
      entry.complain("address", "the 'address' field" + std::string(kCidrExpected) + "'" + text + "'");
    const auto gateway = entry.address("gateway");
    if (gateway && gateway->family() != address->address.family()) {
      entry.complain("gateway", "invalid gateway address: " + gateway->to_string() +
                                    " is of another IP version than " + text);
    }
    addresses.push_back({*address, gateway, {}});
  });
  return addresses;
}

std::vector<std::string> split_by_comma(const std::string& list) {
  std::vector<std::string> items;
  std::size_t from = 0;
  while (from <= list.size()) {
    const std::size_t end = std::min(list.find(',', from), list.size());
    const std::size_t first = list.find_first_not_of(' ', from);
    const std::size_t last = list.find_last_not_of(' ', end == 0 ? 0 : end - 1);
    const bool is_blank = first == std::string::npos || first >= end;
    items.push_back(is_blank ? std::string() : list.substr(first, last - first + 1));
    from = end + 1;
  }
  return items;
}

[[noreturn]] void complain_of_args(const std::string& problem) {
  throw Error(ErrorCode::kInvalidEnvironment, "CNI_ARGS: " + problem);
}

void append_args_addresses(const cni::Args& args, std::vector<ipam::LeaseRecord>& addresses) {
  const std::string list = args.find("IP").value_or("");
  if (list.empty()) return;
  for (const std::string& text : split_by_comma(list)) {
    const auto address = parse_interface_address(text);
    if (!address) complain_of_args("the 'ip' field" + std::string(kCidrExpected) + "'" + text + "'");
    addresses.push_back({*address, std::nullopt, {}});
  }
}

/// Each gateway goes to every address whose subnet it lies in.
void attach_args_gateways(const cni::Args& args, std::vector<ipam::LeaseRecord>& addresses) {
  const std::string list = args.find("GATEWAY").value_or("");
  if (list.empty()) return;
  for (const std::string& text : split_by_comma(list)) {
    const auto gateway = IpAddress::parse(text);
    if (!gateway) complain_of_args("invalid gateway address: " + text);
    for (ipam::LeaseRecord& address : addresses) {
      if (address.address.contains(*gateway)) address.gateway = gateway;
    }
  }
}

/// The runtime's lists, which replace what the configuration says. nullopt when there is no entry.
std::optional<std::vector<ipam::LeaseRecord>> read_requested(const cni::ConfigReader& reader) {
  const std::vector<std::string> texts = reader.texts("ips");
  if (texts.empty()) return std::nullopt;
  std::vector<ipam::LeaseRecord> addresses;
  for (const std::string& text : texts) {
    const auto address = parse_interface_address(text);
    if (!address) {
      reader.complain("ips", "an entry in the 'ips' field is NOT in CIDR notation, got: '" + text +
                                 "'; write it as 10.0.0.5/24 or fd00::5/64");
    }
    addresses.push_back({*address, std::nullopt, {}});
  }
  return addresses;
}

std::optional<std::vector<ipam::LeaseRecord>> requested(const cni::Invocation& invocation) {
  const cni::ConfigReader whole(invocation.config, "");
  if (const auto* keys = whole.raw("runtimeConfig")) {
    auto addresses = read_requested(cni::ConfigReader(*keys, "runtimeConfig", cni::KeyCase::kIgnore));
    if (addresses) return addresses;
  }
  const auto args = whole.object("args");
  if (const auto* keys = args ? args->raw("cni") : nullptr) {
    return read_requested(cni::ConfigReader(*keys, "args.cni", cni::KeyCase::kIgnore));
  }
  return std::nullopt;
}

void reject_two_of_a_family(const std::vector<ipam::LeaseRecord>& addresses, const std::string& version) {
  if (cni::at_least(version, "0.3.0")) return;
  const auto v4 = std::count_if(addresses.begin(), addresses.end(),
                                [](const ipam::LeaseRecord& one) { return one.address.address.is_v4(); });
  if (v4 <= 1 && static_cast<std::ptrdiff_t>(addresses.size()) - v4 <= 1) return;
  throw Error(ErrorCode::kInvalidConfig, "CNI version " + version +
                                             " does not support more than 1 address per family; raise "
                                             "cniVersion");
}

}  // namespace

AddressingSpec read_static_addressing(const cni::Invocation& invocation) {
  const auto ipam = cni::ConfigReader(invocation.config, "").object("ipam");
  if (!ipam) throw Error(ErrorCode::kInvalidConfig, "IPAM config missing 'ipam' key; add it, with addresses");
  AddressingSpec spec;
  spec.kind = Addressing::kStatic;
  spec.fixed = read_addresses(*ipam);
  if (auto addresses = requested(invocation)) {
    spec.fixed = std::move(*addresses);
  } else {
    append_args_addresses(invocation.args, spec.fixed);
    attach_args_gateways(invocation.args, spec.fixed);
  }
  reject_two_of_a_family(spec.fixed, invocation.cni_version);
  spec.routes = read_routes(*ipam);
  if (const auto* dns = ipam->raw("dns")) spec.dns = cni::parse_dns(*dns, "ipam.dns");
  return spec;
}

}  // namespace netctl::engine
