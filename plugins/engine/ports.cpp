#include "plugins/engine/ports.hpp"

#include <algorithm>

#include "iptables/policy.hpp"
#include "plugins/engine/identity.hpp"
#include "plugins/engine/port_probe.hpp"

namespace netctl::engine {
namespace {

constexpr std::uint16_t kFirstChosenPort =
    32768;  // Docker's and the kernel's default for ephemeral ports begin here

/// Both the main plugin and a chained portmap may see the same mappings. A wanted port of 0 is the one that was chosen for
/// the first of them.
bool same_mapping(const ipam::PortRecord& wanted, const ipam::PortRecord& present) {
  const auto& claimants = present.claimed_by;
  const bool chosen_for_another =
      wanted.host_port == 0 &&
      std::find(claimants.begin(), claimants.end(), wanted.claimed_by.front()) == claimants.end();
  return wanted.protocol == present.protocol && wanted.host_ip == present.host_ip &&
         (wanted.host_port == present.host_port || chosen_for_another) && wanted.count == present.count &&
         wanted.container_port == present.container_port;
}

[[noreturn]] void throw_no_port(const ipam::PortRecord& port) {
  throw Error(ErrorCode::kPortTaken, "no free host port is left for container port " +
                                         std::to_string(port.container_port) +
                                         "; remove containers that publish ports, or name a port");
}

void choose_host_port(const ipam::Transaction& store, ipam::PortRecord& port) {
  std::uint16_t from = kFirstChosenPort;
  while (true) {
    const auto candidate = ipam::find_free_port(store, port.protocol, port.host_ip, from, port.count);
    if (!candidate) throw_no_port(port);
    port.host_port = *candidate;
    if (!find_listener(port)) return;
    if (*candidate == UINT16_MAX) throw_no_port(port);
    from = static_cast<std::uint16_t>(*candidate + 1);
  }
}

/// The runtime's monitor may hold the port open for this very container, so that nobody else takes it: podman's and
/// CRI-O's conmon, which has the id as an argument of its own.
bool is_monitor_of(const Listener& listener, const std::string& container_id) {
  const auto& arguments = listener.arguments;
  return listener.name == "conmon" &&
         std::find(arguments.begin(), arguments.end(), container_id) != arguments.end();
}

void reject_listener(const ipam::PortRecord& port, const ipam::AttachmentKey& key) {
  const std::optional<Listener> listener = find_listener(port);
  if (!listener || is_monitor_of(*listener, key.container_id)) return;
  const std::string who = listener->pid == 0
                              ? "another process of the host"
                              : listener->name + " (pid " + std::to_string(listener->pid) + ")";
  throw Error(ErrorCode::kPortTaken,
              "host port " + to_string(port) + " is in use by " + who + "; stop it, or publish another port");
}

}  // namespace

PortHeld::PortHeld(const ipam::PortConflict& conflict)
    : Error(ErrorCode::kPortTaken, "host port " + to_string(conflict.wanted) + " is already published by " +
                                       describe(conflict.holder, conflict.holder_name) + ", on network " +
                                       conflict.holder.network +
                                       "; remove that container, or publish another port"),
      holder_(conflict.holder) {}

std::vector<ipam::PortRecord> port_records(const std::vector<cni::PortMapping>& mappings,
                                           const std::vector<IpAddress>& targets,
                                           const std::string& claimed_by, bool masquerade_local) {
  std::vector<ipam::PortRecord> records;
  for (const cni::PortMapping& mapping : mappings) {
    ipam::PortRecord record;
    record.protocol = static_cast<std::uint8_t>(*iptables::parse_protocol(mapping.protocol));
    record.host_ip = mapping.host_ip;
    record.host_port = mapping.host_port;
    record.count = mapping.count;
    record.container_port = mapping.container_port;
    record.targets = targets;
    record.masquerade_local = masquerade_local;
    record.claimed_by = {claimed_by};
    records.push_back(std::move(record));
  }
  return records;
}

void claim_ports(ipam::Transaction& store, ipam::AttachmentRecord& record,
                 std::vector<ipam::PortRecord> ports, bool probe) {
  for (ipam::PortRecord& port : ports) {
    const auto present =
        std::find_if(record.ports.begin(), record.ports.end(),
                     [&](const ipam::PortRecord& other) { return same_mapping(port, other); });
    if (present != record.ports.end()) {
      auto& claimants = present->claimed_by;
      const std::string& claimant = port.claimed_by.front();
      if (std::find(claimants.begin(), claimants.end(), claimant) == claimants.end())
        claimants.push_back(claimant);
      continue;
    }
    if (port.host_port == 0) choose_host_port(store, port);
    if (const auto conflict = ipam::claim_port(store, port, record.key)) throw PortHeld(*conflict);
    // The container's first endpoint on the network keeps the claim; a later one gets no elements of its own.
    if (ipam::find_port_owner(store, port) != record.key) continue;
    if (probe) reject_listener(port, record.key);
    record.ports.push_back(port);
  }
}

std::vector<ipam::PortRecord> release_ports(ipam::Transaction& store, ipam::AttachmentRecord& record,
                                            const std::string& claimant) {
  std::vector<ipam::PortRecord> released;
  std::vector<ipam::PortRecord> kept;
  for (ipam::PortRecord& port : record.ports) {
    auto& claimants = port.claimed_by;
    claimants.erase(std::remove(claimants.begin(), claimants.end(), claimant), claimants.end());
    if (claimants.empty()) {
      ipam::release_port(store, port, record.key);
      released.push_back(port);
    } else {
      kept.push_back(port);
    }
  }
  record.ports = std::move(kept);
  return released;
}

nlohmann::json chosen_ports(const std::vector<cni::PortMapping>& asked,
                            const std::vector<ipam::PortRecord>& ports) {
  const bool any = std::any_of(asked.begin(), asked.end(),
                               [](const cni::PortMapping& port) { return port.host_port == 0; });
  if (!any) return nullptr;
  nlohmann::json list = nlohmann::json::array();
  for (const ipam::PortRecord& port : ports) {
    list.push_back({{"hostPort", port.host_port},
                    {"containerPort", port.container_port},
                    {"protocol", iptables::to_string(static_cast<iptables::Protocol>(port.protocol))},
                    {"hostIP", port.host_ip ? port.host_ip->to_string() : ""},
                    {"range", port.count}});
  }
  return {{"ports", list}};
}

std::string to_string(const ipam::PortRecord& port) {
  std::string text;
  if (port.host_ip) {
    text = port.host_ip->is_v4() ? port.host_ip->to_string() + ":" : "[" + port.host_ip->to_string() + "]:";
  }
  text += std::to_string(port.host_port);
  if (port.count > 1) text += "-" + std::to_string(port.host_port + port.count - 1);
  return text + "/" + iptables::to_string(static_cast<iptables::Protocol>(port.protocol));
}

}  // namespace netctl::engine
