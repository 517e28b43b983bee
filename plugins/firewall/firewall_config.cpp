#include "plugins/firewall/firewall_config.hpp"

#include <algorithm>

#include "plugins/cni/config_reader.hpp"
#include "plugins/cni/runtime_config.hpp"

namespace netctl::firewall {
namespace {

constexpr const char* kAdminChain = "CNI-ADMIN";
constexpr const char* kZone = "trusted";
constexpr std::size_t kLongestChain = 28;  // XT_EXTENSION_MAXNAMELEN - 1, what iptables takes
constexpr std::size_t kLongestZone = 128;

engine::FirewallBackend read_backend(const cni::ConfigReader& config) {
  const std::string backend = config.text("backend").value_or("");
  if (backend.empty()) return engine::FirewallBackend::kAuto;
  if (backend == "iptables" || backend == "nftables") return engine::FirewallBackend::kIptables;
  if (backend == "firewalld") return engine::FirewallBackend::kFirewalld;
  config.complain("backend", "must be \"iptables\", \"firewalld\", or left out to use what is there");
}

/// Names that other programs take: printable, without what ends or begins an argument.
std::string read_name(const cni::ConfigReader& config, const char* key, const char* otherwise,
                      std::size_t longest) {
  const std::string name = config.text(key).value_or("");
  if (name.empty()) return otherwise;
  const bool fits =
      name.size() <= longest && name.front() != '-' && name.front() != '!' &&
      std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c <= '~' && c != '"'; });
  if (!fits)
    config.complain(key, "must be a name of at most " + std::to_string(longest) + " printable characters");
  return name;
}

iptables::Ingress read_ingress_policy(const cni::ConfigReader& config) {
  const std::string text = config.text("ingressPolicy").value_or("");
  const auto policy = iptables::parse_ingress(text);
  if (policy) return *policy;
  config.complain("ingressPolicy",
                  "unknown ingress policy: \"" + text + "\"; it must be open, same-bridge or isolated");
}

}  // namespace

engine::FirewallRequest read_request(const cni::Invocation& invocation) {
  const cni::ConfigReader config(invocation.config, "");
  const cni::RuntimeConfig runtime = cni::read_runtime_config(invocation);
  engine::FirewallRequest request;
  request.key = {invocation.network, invocation.container_id, invocation.ifname};
  request.netns_path = invocation.netns;
  request.container_name = runtime.container_name;
  request.backend = read_backend(config);
  request.admin_chain = read_name(config, "iptablesAdminChainName", kAdminChain, kLongestChain);
  request.zone = read_name(config, "firewalldZone", kZone, kLongestZone);
  request.ingress = read_ingress_policy(config);
  if (!invocation.prev_result) return request;
  for (const cni::ResultIp& ip : invocation.prev_result->ips) request.addresses.push_back(ip.address);
  for (const cni::Interface& interface : invocation.prev_result->interfaces) {
    if (interface.sandbox.empty()) request.host_links.push_back(interface.name);
  }
  return request;
}

}  // namespace netctl::firewall
