#pragma once
// What `netctl doctor` looks at. Every function only reads, and says in a sentence what it found and what to do.

#include <string>
#include <vector>

#include "netctl/sources.hpp"
#include "plugins/engine/host.hpp"

namespace netctl::cli {

struct Finding {
  bool problem = false;  ///< false: worth knowing, nothing is wrong
  std::string
      area;  ///< "leases", "rules", "firewall", "subnet", "bridge", "host", "store", "kernel", "attachment"
  std::string subject;  ///< a file, chain, network, container
  std::string text;     ///< what is there, and what to do
};
using Findings = std::vector<Finding>;

// doctor_foreign.cpp: what the reference plugins or other tools left, and what they drop.
void examine_reference_leases(const std::vector<frontdoor::NetworkConf>& confs, Findings& findings);
void examine_foreign_rules(const std::vector<frontdoor::NetworkConf>& confs,
                           const std::vector<AttachmentRow>& attachments, Findings& findings);
void examine_firewalls(const std::vector<NetworkRow>& networks, Findings& findings);

// doctor_host.cpp: the host that the networks stand on.
void examine_subnets(const std::vector<NetworkRow>& networks, Findings& findings);
void examine_bridges(const std::vector<NetworkRow>& networks, Findings& findings);
void examine_network_records(Findings& findings);
void examine_stores(Findings& findings);
void examine_kernel(Findings& findings);

/// Lease files of the reference, by network, in all folders that the configurations name and the default one.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> reference_folders(
    const std::vector<frontdoor::NetworkConf>& confs);

}  // namespace netctl::cli
