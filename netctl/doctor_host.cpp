#include <dirent.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <memory>

#include "base/error.hpp"
#include "ipam/store.hpp"
#include "iptables/foreign_rules.hpp"
#include "netctl/doctor.hpp"
#include "netlink/link.hpp"
#include "netlink/route.hpp"
#include "netlink/sysctl.hpp"
#include "plugins/engine/identity.hpp"
#include "plugins/engine/network_setup.hpp"

namespace netctl::cli {
namespace {

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(::opendir(folder.c_str()), ::closedir);
  while (const dirent* entry = entries ? ::readdir(entries.get()) : nullptr)
    names.emplace_back(entry->d_name);
  std::sort(names.begin(), names.end());
  return names;
}

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

std::string kernel_release() {
  utsname names{};
  ::uname(&names);
  return names.release;
}

enum class Presence { kYes, kNo, kUnknown };

/// By the kernel's configuration, where the distribution installs it.
Presence option_in_config(const std::string& option) {
  std::ifstream file("/boot/config-" + kernel_release());
  if (!file) return Presence::kUnknown;
  for (std::string line; std::getline(file, line);) {
    if (line == option + "=y" || line == option + "=m") return Presence::kYes;
  }
  return Presence::kNo;
}

Presence module_present(const std::string& module) {
  if (exists("/sys/module/" + module)) return Presence::kYes;
  const std::string folder = "/lib/modules/" + kernel_release() + "/";
  if (!exists(folder + "modules.builtin")) return Presence::kUnknown;
  for (const char* list : {"modules.builtin", "modules.dep"}) {
    std::ifstream file(folder + list);
    for (std::string line; std::getline(file, line);) {
      if (line.find("/" + module + ".ko") != std::string::npos) return Presence::kYes;
    }
  }
  return Presence::kNo;
}

Presence vlan_filtering_present() {
  for (const std::string& name : names_in("/sys/class/net")) {
    const std::string bridge = "/sys/class/net/" + name + "/bridge";
    if (exists(bridge)) return exists(bridge + "/vlan_filtering") ? Presence::kYes : Presence::kNo;
  }
  return option_in_config("CONFIG_BRIDGE_VLAN_FILTERING");
}

}  // namespace

void examine_subnets(const std::vector<NetworkRow>& networks, Findings& findings) {
  constexpr unsigned kShortestRealPrefix =
      4;  // default routes and the halves that VPNs route overlap everything
  netlink::Socket route = netlink::Socket::open(netlink::Bus::kRoute);
  std::vector<netlink::Route> routes = netlink::list_routes(route, Family::kIpv4);
  for (const netlink::Route& v6 : netlink::list_routes(route, Family::kIpv6)) routes.push_back(v6);
  for (const NetworkRow& network : networks) {
    const auto own = network.bridge.empty() ? std::nullopt : route.find_link_index(network.bridge);
    for (const std::string& text : network.subnets) {
      const auto subnet = IpPrefix::parse(text);
      if (!subnet) continue;
      for (const netlink::Route& each : routes) {
        const bool comparable = each.destination.address.family() == subnet->address.family() &&
                                each.destination.length >= kShortestRealPrefix;
        const bool ours = own && each.link_index == *own;
        // An interface of one container (ptp) is a route inside the subnet, and no overlap.
        const bool inside = each.destination.length == each.destination.address.bits();
        if (!comparable || ours || inside || !each.destination.overlaps(*subnet)) continue;
        const auto link = netlink::find_link(route, each.link_index);
        findings.push_back({true, "subnet", network.name,
                            "its subnet " + text + " overlaps the host's route to " +
                                each.destination.to_string() + (link ? " through " + link->name : "") +
                                ": one of the two is not reached; give the network another subnet, or remove "
                                "the route"});
      }
    }
  }
}

void examine_bridges(const std::vector<NetworkRow>& networks, Findings& findings) {
  netlink::Socket route = netlink::Socket::open(netlink::Bus::kRoute);
  for (const NetworkRow& network : networks) {
    if (network.bridge.empty()) continue;
    const auto link = netlink::find_link(route, network.bridge);
    if (!link) {
      if (network.containers != 0) {
        findings.push_back({true, "bridge", network.bridge,
                            "is gone although network " + network.name +
                                " has containers; the next ADD makes it anew and joins them again"});
      }
      continue;
    }
    if (link->kind != "bridge") {
      findings.push_back({true, "bridge", network.bridge,
                          "is no bridge, and network " + network.name +
                              " cannot use it; name another one with the key bridge, or remove it"});
    } else if (link->alias.rfind(engine::kAliasPrefix, 0) != 0) {
      findings.push_back(
          {false, "bridge", network.bridge,
           network.containers != 0
               ? "was there before network " + network.name +
                     " and is used, not owned: it stays when the network goes"
               : "exists and is not netctl's (the reference plugins never remove theirs): network " +
                     network.name + " will use it and leave it in place; `ip link del " + network.bridge +
                     "` removes it, once nothing else is on it"});
    } else if (network.containers == 0) {
      findings.push_back(
          {true, "bridge", network.bridge,
           "is netctl's and network " + network.name + " has no containers; `netctl gc` removes it"});
    }
  }
}

void examine_network_records(Findings& findings) {
  const netlink::Socket route = netlink::Socket::open(netlink::Bus::kRoute);
  const auto live = ipam::Store::open_live_if_present(ipam::Store::default_directory(), route.netns_cookie());
  if (!live) return;
  live->read([&](const ipam::Transaction& store) {
    for (const ipam::NetworkRecord& network : store.list_networks()) {
      for (const std::string& wanted : engine::recorded_sysctls(network)) {
        const std::size_t split = wanted.find('=');
        const std::string path = wanted.substr(0, split);
        const std::string value = wanted.substr(split + 1);
        const auto present = netlink::read_sysctl(path);
        if (!present || *present == value) continue;
        findings.push_back({true, "host", "net/" + path,
                            "is " + *present + ", and network " + network.name + " needs " + value +
                                ": packets are not passed on; `echo " + value + " > /proc/sys/net/" + path +
                                "`, and look for what resets it (sysctl.d, a VPN, a network manager)"});
      }
    }
  });
}

void examine_stores(Findings& findings) {
  const std::string folder = ipam::Store::default_directory();
  for (const std::string& name : names_in(folder)) {
    if (name.find(".damaged-") == std::string::npos) continue;
    findings.push_back(
        {true, "store", folder + "/" + name,
         "is a store that was damaged and put aside: containers attached before keep working and "
         "are unknown; restart them, then remove the file and run `netctl gc`"});
  }
}

void examine_kernel(Findings& findings) {
  try {
    netlink::Socket netfilter = netlink::Socket::open(netlink::Bus::kNetfilter);
    (void)iptables::ForeignTables(netfilter).list_chains();
  } catch (const Error& error) {
    findings.push_back(
        {true, "kernel", "nf_tables",
         "is not usable (" + error.message() +
             "): no masquerade and no published ports; load the module nf_tables, run as root"});
  }
  if (vlan_filtering_present() == Presence::kNo) {
    findings.push_back(
        {false, "kernel", "bridge VLAN filtering",
         "is not in this kernel (CONFIG_BRIDGE_VLAN_FILTERING): the keys vlan and vlanTrunk are "
         "refused"});
  }
  if (module_present("vxlan") == Presence::kNo) {
    findings.push_back({false, "kernel", "vxlan",
                        "is not in this kernel (CONFIG_VXLAN): networks over several hosts cannot use it"});
  }
}

}  // namespace netctl::cli
