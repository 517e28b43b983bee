#pragma once
// The share of `firewall`: the container's packets pass where another tool's rules would drop them. What is placed there is
// tagged, exact, and shared by all containers of one subnet behind one bridge: it goes with the last of them.

#include <string>
#include <vector>

#include "base/ip_address.hpp"
#include "iptables/policy.hpp"
#include "plugins/engine/ingress.hpp"
#include "plugins/engine/part.hpp"

namespace netctl::engine {

enum class FirewallBackend { kAuto, kIptables, kFirewalld };

struct FirewallRequest {
  ipam::AttachmentKey key;
  std::string netns_path;
  std::string container_name;
  FirewallBackend backend = FirewallBackend::kAuto;
  std::string admin_chain;  ///< of the table filter: asked before our accept, where it exists
  std::string zone;         ///< of firewalld, that the addresses become sources of
  iptables::Ingress ingress = iptables::Ingress::kOpen;
  std::vector<IpPrefix> addresses;
  std::vector<std::string>
      host_links;  ///< that earlier plugins of the chain name: the bridge is looked for among them

  [[nodiscard]] bool is_empty() const { return addresses.empty() && ingress == iptables::Ingress::kOpen; }
};

/// Looks for iptables' FORWARD chains (nf_tables, older) and for firewalld, and places an accept in each that is there; with
/// none there is nothing to do. Behind a bridge it is for the subnet and the bridge, else for the address alone.
/// `ingress` is a matter of our own table (ingress.hpp), whatever the backend.
/// Errors: kNotAvailable (backend firewalld, which does not run; the older iptables without its program), kInvalidConfig
/// (firewalld knows no such zone), kKernel, kInvalidNetns. A failure takes everything back.
void open_firewall(Host& host, const FirewallRequest& request);

/// For STATUS. Errors: kNotAvailable when firewalld is wanted and does not run.
void require_backend(FirewallBackend backend);

/// See PartKind.
void undo_firewall(Host& host, const ipam::AttachmentRecord& record, const nlohmann::json& state);
[[nodiscard]] std::vector<std::string> firewall_drift(Host& host, const ipam::AttachmentRecord& record,
                                                      const nlohmann::json& state);

}  // namespace netctl::engine
