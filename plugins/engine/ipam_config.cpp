#include "plugins/engine/ipam_config.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <sstream>

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "plugins/cni/config_reader.hpp"
#include "plugins/cni/delegate.hpp"
#include "plugins/cni/version.hpp"
#include "plugins/engine/reference_leases.hpp"
#include "plugins/engine/static_config.hpp"

namespace netctl::engine {
namespace {

constexpr const char* kPoolType = "host-local";
constexpr const char* kStaticType = "static";

ipam::RangeSpec read_range(const cni::ConfigReader& reader) {
  const auto subnet = reader.prefix("subnet");
  if (!subnet) reader.complain("subnet", "is needed, in CIDR notation");
  return {*subnet, reader.address("rangeStart"), reader.address("rangeEnd"), reader.address("gateway")};
}

std::vector<std::vector<ipam::RangeSpec>> read_sets(const cni::ConfigReader& ipam,
                                                    const cni::RuntimeConfig& runtime) {
  std::vector<std::vector<ipam::RangeSpec>> sets;
  for (const std::vector<cni::IpRangeSpec>& set : runtime.ip_ranges) {
    std::vector<ipam::RangeSpec> ranges;
    for (const cni::IpRangeSpec& range : set) {
      ranges.push_back({range.subnet, range.range_start, range.range_end, range.gateway});
    }
    sets.push_back(std::move(ranges));
  }
  if (ipam.has("subnet")) sets.push_back({read_range(ipam)});
  const nlohmann::json* ranges = ipam.raw("ranges");
  if (ranges == nullptr) return sets;
  if (!ranges->is_array()) ipam.complain("ranges", "must be a list of lists of ranges");
  for (std::size_t i = 0; i < ranges->size(); ++i) {
    const std::string place = ipam.path_of("ranges[" + std::to_string(i) + "]");
    const nlohmann::json& list = (*ranges)[i];
    if (!list.is_array()) ipam.complain("ranges[" + std::to_string(i) + "]", "must be a list of ranges");
    std::vector<ipam::RangeSpec> set;
    for (std::size_t j = 0; j < list.size(); ++j) {
      const std::string inner = place + "[" + std::to_string(j) + "]";
      if (!list[j].is_object()) {
        throw Error(ErrorCode::kInvalidConfig, inner + ": must be an object with a subnet", list[j].dump());
      }
      set.push_back(read_range(cni::ConfigReader(list[j], inner)));
    }
    if (set.empty())
      throw Error(ErrorCode::kInvalidConfig, place + ": an empty range set; name at least one subnet");
    sets.push_back(std::move(set));
  }
  return sets;
}

std::string read_whole_file(const cni::ConfigReader& ipam, const std::string& path) {
  constexpr std::size_t kLimit = 64U << 10U;
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) ipam.complain("resolvConf", "cannot be opened: " + errno_text(errno));
  std::string text;
  std::array<char, 4096> chunk{};
  ssize_t size = 0;
  while (text.size() < kLimit && (size = ::read(fd.get(), chunk.data(), chunk.size())) > 0) {
    text.append(chunk.data(), static_cast<std::size_t>(size));
  }
  if (size < 0) ipam.complain("resolvConf", "cannot be read: " + errno_text(errno));
  return text;
}

/// resolv.conf(5): nameserver, domain, search, options; ';' and '#' begin a comment.
cni::Dns read_resolv_conf(const cni::ConfigReader& ipam, const std::string& path) {
  cni::Dns dns;
  std::istringstream lines(read_whole_file(ipam, path));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line.substr(0, line.find_first_of(";#")));
    std::string key;
    std::string word;
    words >> key;
    while (words >> word) {
      if (key == "nameserver") dns.nameservers.push_back(word);
      if (key == "domain") dns.domain = word;
      if (key == "search") dns.search.push_back(word);
      if (key == "options") dns.options.push_back(word);
    }
  }
  return dns;
}

void reject_two_of_a_family(const AddressingSpec& spec, const cni::Invocation& invocation) {
  if (cni::at_least(invocation.cni_version, "0.3.0")) return;
  std::size_t v4 = 0;
  for (const auto& set : spec.sets) v4 += !set.empty() && set.front().subnet.address.is_v4() ? 1U : 0U;
  if (v4 > 1 || spec.sets.size() - v4 > 1) {
    throw Error(ErrorCode::kInvalidConfig,
                "CNI version " + invocation.cni_version +
                    " does not support more than 1 address per family; raise cniVersion");
  }
}

std::vector<IpPrefix> read_exclusions(const cni::Invocation& invocation) {
  std::vector<IpPrefix> exclude;
  const auto own = cni::ConfigReader(invocation.config, "").object("netctl");
  if (!own) return exclude;
  for (const std::string& text : own->texts("exclude")) {
    const auto prefix = IpPrefix::parse_address_or_prefix(text);
    if (!prefix) own->complain("exclude", "holds \"" + text + "\", which is no address and no CIDR");
    exclude.push_back(*prefix);
  }
  return exclude;
}

}  // namespace

std::vector<cni::ResultRoute> read_routes(const cni::ConfigReader& ipam) {
  std::vector<cni::ResultRoute> routes;
  const nlohmann::json* list = ipam.raw("routes");
  if (list == nullptr) return routes;
  if (!list->is_array()) ipam.complain("routes", "must be a list of routes");
  for (std::size_t i = 0; i < list->size(); ++i) {
    routes.push_back(cni::parse_route((*list)[i], ipam.path_of("routes[" + std::to_string(i) + "]")));
  }
  return routes;
}

AddressingSpec read_addressing(const cni::Invocation& invocation, const cni::RuntimeConfig& runtime) {
  AddressingSpec spec;
  const auto ipam = cni::ConfigReader(invocation.config, "").object("ipam");
  const std::string type = ipam ? ipam->text("type").value_or("") : "";
  if (type.empty()) return spec;
  if (type == kStaticType) return read_static_addressing(invocation);
  if (type != kPoolType) {
    cni::validate_plugin_name(type, "ipam.type");
    spec.kind = Addressing::kDelegate;
    spec.delegate = type;
    return spec;
  }
  spec.kind = Addressing::kPool;
  spec.data_directory = ipam->text("dataDir").value_or("");
  if (spec.data_directory.empty()) spec.data_directory = ReferenceLeases::kDefaultDirectory;
  spec.sets = read_sets(*ipam, runtime);
  reject_two_of_a_family(spec, invocation);
  spec.routes = read_routes(*ipam);
  if (const auto path = ipam->text("resolvConf"); path && !path->empty())
    spec.dns = read_resolv_conf(*ipam, *path);
  spec.exclude = read_exclusions(invocation);
  for (const IpPrefix& prefix : runtime.ips) spec.wanted.push_back(prefix.address);
  return spec;
}

}  // namespace netctl::engine
