#pragma once
// What the runtime adds for one container: runtimeConfig (capabilities), args.cni and CNI_ARGS, with the precedence of
// CONVENTIONS.md: runtimeConfig > args.cni > CNI_ARGS for the MAC address; for addresses runtimeConfig.ips and
// args.cni.ips each beat CNI_ARGS "IP".

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/ip_address.hpp"
#include "base/mac_address.hpp"
#include "plugins/cni/invocation.hpp"

namespace netctl::cni {

/// Ports in host order. `protocol` is lower case: "tcp", "udp", "sctp".
struct PortMapping {
  std::optional<IpAddress> host_ip;  ///< nullopt for "" and null
  std::uint16_t host_port = 0;       ///< 0: any free one
  std::uint16_t container_port = 0;
  std::uint16_t count = 1;  ///< key "range" (as Podman writes it); consecutive ports
  std::string protocol = "tcp";
};

struct IpRangeSpec {
  IpPrefix subnet;
  std::optional<IpAddress> range_start, range_end, gateway;
};

struct RuntimeConfig {
  std::vector<PortMapping> port_mappings;
  std::vector<IpPrefix> ips;  ///< a bare address has the full prefix length
  std::optional<MacAddress> mac;
  std::optional<Dns> dns;  ///< capability dns: servers, searches, options
  std::vector<std::string> aliases;
  std::vector<std::vector<IpRangeSpec>> ip_ranges;
  std::map<std::string, std::string> labels;  ///< args.cni.labels, and K8S_POD_NAMESPACE of CNI_ARGS
  std::string container_name;                 ///< K8S_POD_NAME, else the label "name"
};

/// `aliases` may be a list, or lists by network name (as Podman writes it). Requested addresses of runtimeConfig come before
/// those of args.cni; equal ones count once. A capability `dns` without any entry counts as absent.
/// Errors: kInvalidConfig (a key with a wrong type or value), kInvalidEnvironment (IP= or MAC= that does not parse).
/// A comma-separated protocol ("tcp,udp") gives one mapping each.
[[nodiscard]] RuntimeConfig read_runtime_config(const Invocation& invocation);

}  // namespace netctl::cni
