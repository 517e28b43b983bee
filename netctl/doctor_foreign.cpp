#include <dirent.h>
#include <sys/stat.h>
#include <linux/netfilter.h>

#include <algorithm>
#include <ctime>
#include <fstream>
#include <map>
#include <memory>
#include <set>

#include "base/error.hpp"
#include "iptables/foreign_rules.hpp"
#include "iptables/policy_table.hpp"
#include "netctl/doctor.hpp"
#include "plugins/cni/config_reader.hpp"
#include "plugins/engine/reference_leases.hpp"

namespace netctl::cli {
namespace {

using engine::ReferenceLease;
using engine::ReferenceLeases;
using iptables::ForeignChain;
using iptables::ForeignRule;

std::vector<std::string> folders_in(const std::string& folder) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(::opendir(folder.c_str()), ::closedir);
  while (const dirent* entry = entries ? ::readdir(entries.get()) : nullptr) {
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string data_directory(const frontdoor::NetworkConf& conf) {
  try {
    const auto ipam = cni::ConfigReader(conf.plugins.front(), "").object("ipam");
    const std::string directory = ipam ? ipam->text("dataDir").value_or("") : "";
    if (!directory.empty()) return directory;
  } catch (const Error&) {
    return ReferenceLeases::kDefaultDirectory;  // `netctl ls` complains of the configuration
  }
  return ReferenceLeases::kDefaultDirectory;
}

std::int64_t boot_wall_seconds() {
  return engine::wall_seconds() - engine::boot_nanoseconds() / 1'000'000'000;
}

bool written_before_boot(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && status.st_mtim.tv_sec < boot_wall_seconds();
}

/// The namespace that libcni remembers for an attachment (its result cache); empty when it remembers none.
std::string cached_namespace(const std::string& network, const ReferenceLease& lease) {
  std::ifstream file("/var/lib/cni/results/" + network + "-" + lease.container_id + "-" + lease.ifname);
  if (!file) return {};
  const nlohmann::json cache = nlohmann::json::parse(file, nullptr, false);
  if (!cache.is_object() || !cache.contains("result") || !cache["result"].is_object()) return {};
  for (const nlohmann::json& interface : cache["result"].value("interfaces", nlohmann::json::array())) {
    if (!interface.is_object() || !interface.contains("sandbox") || !interface["sandbox"].is_string())
      continue;
    const auto sandbox = interface["sandbox"].get<std::string>();
    if (!sandbox.empty()) return sandbox;
  }
  return {};
}

bool is_missing(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) != 0 && errno == ENOENT;
}

Finding judge_lease(const std::string& network, const std::string& path, const ReferenceLease& lease) {
  if (lease.container_id.empty()) {
    return {true, "leases", path,
            "names no container (a crash of the reference's host-local cut it off): its address is given to "
            "nobody; "
            "remove the file when no container has that address"};
  }
  const std::string who = "holds the address for container " + lease.container_id.substr(0, 12);
  const std::string sandbox = cached_namespace(network, lease);
  if (written_before_boot(path)) {
    return {true, "leases", path,
            who +
                " since before the last boot, so that container is gone; remove the file, or let the runtime "
                "call GC"};
  }
  if (!sandbox.empty() && is_missing(sandbox)) {
    return {true, "leases", path,
            who + ", whose network namespace " + sandbox +
                " is gone; remove the file, or let the runtime call DEL or GC"};
  }
  return {false, "leases", path,
          who + " of the reference plugins; it is not given out, and the DEL of that container frees it"};
}

/// Whose rule of the reference's plugins it is, as (network, container id); nullopt when it is none of theirs.
std::optional<std::pair<std::string, std::string>> owner_of(const ForeignRule& rule) {
  const auto quoted_after = [&rule](const std::string& word) -> std::string {
    const std::size_t start = rule.comment.find(word);
    if (start == std::string::npos) return {};
    const std::size_t from = start + word.size();
    return rule.comment.substr(from, rule.comment.find('"', from) - from);
  };
  if (rule.table == "nat" && rule.family != NFPROTO_BRIDGE &&
      rule.comment.find("name: \"") != std::string::npos) {
    return std::pair{quoted_after("name: \""), quoted_after("id: \"")};
  }
  if (rule.table == "cni_hostport" && !rule.comment.empty()) return std::pair{std::string(), rule.comment};
  const std::string spoof = "macspoofchk-";
  if (rule.table == "nat" && rule.comment.compare(0, spoof.size(), spoof) == 0) {
    const std::size_t end = rule.comment.rfind('-');
    return std::pair{std::string(), rule.comment.substr(spoof.size(), end - spoof.size())};
  }
  if (rule.table == "cni_plugins_masquerade") {
    const std::size_t id = rule.comment.find(", id: ");
    const std::size_t net = rule.comment.find(", net: ");
    if (id == std::string::npos || net == std::string::npos) return std::nullopt;
    const std::size_t begin = net + 7;
    return std::pair{rule.comment.substr(begin, rule.comment.find(", if: ") - begin),
                     rule.comment.substr(id + 6)};
  }
  return std::nullopt;
}

/// Ids of all containers that have a lease file or a record.
std::set<std::string> known_containers(const std::vector<frontdoor::NetworkConf>& confs,
                                       const std::vector<AttachmentRow>& attachments) {
  std::set<std::string> known;
  for (const AttachmentRow& row : attachments) known.insert(row.record.key.container_id);
  for (const auto& [directory, network] : reference_folders(confs)) {
    const auto folder = ReferenceLeases::open(directory, network);
    if (!folder) continue;
    for (const ReferenceLease& lease : folder->list()) known.insert(lease.container_id);
  }
  return known;
}

std::string title(const ForeignChain& chain) {
  return iptables::family_name(chain.family) + " " + chain.table + " " + chain.name;
}

/// Which tool a chain of the hook forward belongs to, and how that tool lets a network through.
std::string advice_for(const ForeignChain& chain, const std::vector<ForeignChain>& all) {
  const auto table_has = [&](const std::string& beginning) {
    return std::any_of(all.begin(), all.end(), [&](const ForeignChain& other) {
      return other.family == chain.family && other.table == chain.table &&
             other.name.rfind(beginning, 0) == 0;
    });
  };
  if (chain.table == "firewalld") {
    return "it is firewalld's: `firewall-cmd --permanent --zone=trusted --add-source=SUBNET && firewall-cmd "
           "--reload`";
  }
  if (table_has("ufw")) {
    return "it is ufw's: `ufw route allow in on BRIDGE` and `ufw route allow out on BRIDGE`";
  }
  if (table_has("DOCKER")) {
    return "it is Docker's: put the plugin firewall into the network's list, or `iptables -I DOCKER-USER "
           "-i BRIDGE -j ACCEPT` and the same with -o";
  }
  return "add rules there that accept what comes from and goes to the network's bridge";
}

bool drops_everything_else(const ForeignChain& chain, const std::vector<ForeignRule>& rules) {
  if (chain.drops_others.value_or(false)) return true;
  return std::any_of(rules.begin(), rules.end(), [&chain](const ForeignRule& rule) {
    return rule.chain == chain.name && rule.verdict == "drop" && !rule.conditional;
  });
}

}  // namespace

std::vector<std::pair<std::string, std::string>> reference_folders(
    const std::vector<frontdoor::NetworkConf>& confs) {
  std::set<std::pair<std::string, std::string>> folders;
  for (const std::string& network : folders_in(ReferenceLeases::kDefaultDirectory))
    folders.emplace(ReferenceLeases::kDefaultDirectory, network);
  for (const frontdoor::NetworkConf& conf : confs) folders.emplace(data_directory(conf), conf.name);
  return {folders.begin(), folders.end()};
}

void examine_reference_leases(const std::vector<frontdoor::NetworkConf>& confs, Findings& findings) {
  for (const auto& [directory, network] : reference_folders(confs)) {
    const auto folder = ReferenceLeases::open(directory, network);
    if (!folder) continue;
    for (const ReferenceLease& lease : folder->list())
      findings.push_back(judge_lease(network, folder->path() + "/" + lease.address.to_string(), lease));
  }
}

void examine_foreign_rules(const std::vector<frontdoor::NetworkConf>& confs,
                           const std::vector<AttachmentRow>& attachments, Findings& findings) {
  netlink::Socket netfilter = netlink::Socket::open(netlink::Bus::kNetfilter);
  iptables::ForeignTables tables(netfilter);
  std::set<std::pair<std::uint8_t, std::string>> names;
  for (const ForeignChain& chain : tables.list_chains()) names.emplace(chain.family, chain.table);
  const std::set<std::string> known = known_containers(confs, attachments);
  // By table, network and container: how many rules, and in which chains.
  std::map<std::pair<std::string, std::string>, std::set<std::string>> chains_by_container;
  std::map<std::pair<std::string, std::string>, std::size_t> counts;
  for (const auto& [family, table] : names) {
    for (const ForeignRule& rule : tables.list_rules(family, table)) {
      const auto owner = owner_of(rule);
      if (!owner || known.contains(owner->second)) continue;
      const std::pair key{iptables::family_name(family) + " " + table, owner->second};
      chains_by_container[key].insert(rule.target.rfind("CNI-", 0) == 0 ? rule.target : rule.chain);
      ++counts[key];
    }
  }
  for (const auto& [key, chains] : chains_by_container) {
    std::string list;
    for (const std::string& chain : chains) list += (list.empty() ? "" : ", ") + chain;
    findings.push_back({true, "rules", "table " + key.first,
                        std::to_string(counts[key]) + " rule(s) of container " + key.second +
                            " are left, which has no lease and no record; delete them (`nft -a list table " +
                            key.first + "` shows their handles) in the chains " + list});
  }
}

void examine_firewalls(const std::vector<NetworkRow>& networks, Findings& findings) {
  if (networks.empty()) return;
  netlink::Socket netfilter = netlink::Socket::open(netlink::Bus::kNetfilter);
  iptables::ForeignTables tables(netfilter);
  const std::vector<ForeignChain> chains = tables.list_chains();
  for (const ForeignChain& chain : chains) {
    const bool ours = chain.family == NFPROTO_INET && chain.table == iptables::kTableName;
    const bool routed =
        chain.family == NFPROTO_INET || chain.family == NFPROTO_IPV4 || chain.family == NFPROTO_IPV6;
    if (ours || !routed || chain.type != "filter" || chain.hook != NF_INET_FORWARD) continue;
    if (!drops_everything_else(chain, tables.list_rules(chain.family, chain.table))) continue;
    findings.push_back(
        {true, "firewall", "chain " + title(chain),
         "drops what it is not told to forward, also what netctl accepts (a drop anywhere wins); " +
             advice_for(chain, chains)});
  }
  for (const char* list : {"/proc/net/ip_tables_names", "/proc/net/ip6_tables_names"}) {
    std::ifstream file(list);
    for (std::string table; std::getline(file, table);) {
      if (table != "filter" && table != "nat") continue;
      findings.push_back(
          {false, "firewall", "legacy iptables, table " + table,
           "is in use beside nf_tables and cannot be examined from here; `iptables-legacy -t " + table +
               " -S` shows whether it drops forwarded packets"});
    }
  }
}

}  // namespace netctl::cli
