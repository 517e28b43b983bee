// How the reference's plugins name what they make: see pkg/utils/utils.go, pkg/ip/ipmasq_*.go, pkg/link/spoofcheck.go,
// plugins/meta/{portmap,firewall,bandwidth} of github.com/containernetworking/plugins.

#include <linux/netfilter.h>

#include <algorithm>

#include "base/sha512.hpp"
#include "plugins/engine/takeover.hpp"

namespace netctl::engine {
namespace {

using iptables::ForeignChain;
using iptables::ForeignRule;

constexpr std::size_t kChainNameLength = 28;

std::string hashed_chain(const std::string& prefix, const ipam::AttachmentKey& key) {
  return prefix + sha512_hex(key.network + key.container_id, kChainNameLength - prefix.size());
}

class RuleFinder {
 public:
  RuleFinder(iptables::ForeignTables& tables, const ReferenceIdentity& identity)
      : tables_(tables), identity_(identity), chains_(tables.list_chains()) {}

  void find_ports() {
    for (const std::uint8_t family : {NFPROTO_IPV4, NFPROTO_IPV6}) {
      if (identity_.last_of_container) {
        find_chain_with_jumps(family, "nat", hashed_chain("CNI-DN-", identity_.key));
        find_chain_with_jumps(family, "nat", hashed_chain("CNI-SN-", identity_.key));
      }
      for (ForeignRule& rule : rules_of(family, "cni_hostport")) {
        if (rule.comment == identity_.key.container_id && mentions_address(rule))
          found_.rules.push_back(std::move(rule));
      }
    }
  }

  void find_rest() {
    for (const std::uint8_t family : {NFPROTO_IPV4, NFPROTO_IPV6}) {
      find_masquerade(family);
      for (ForeignRule& rule : rules_of(family, "filter")) {
        if (rule.chain == "CNI-FORWARD" && rule.verdict == "accept" && mentions_address(rule))
          found_.rules.push_back(std::move(rule));
      }
    }
    const std::string instance = sha512_hex(identity_.key.network, 16) + "-" +
                                 sha512_hex(identity_.key.ifname + ":" + identity_.key.container_id, 16);
    for (ForeignRule& rule : rules_of(NFPROTO_INET, "cni_plugins_masquerade")) {
      if (rule.comment.compare(0, instance.size(), instance) == 0) found_.rules.push_back(std::move(rule));
    }
    const std::string guard = "cni-br-iface-" + identity_.key.container_id + "-" + identity_.key.ifname;
    find_chain_with_jumps(NFPROTO_BRIDGE, "nat", guard);
    find_chain_with_jumps(NFPROTO_BRIDGE, "nat", guard + "-mac");
  }

  [[nodiscard]] ReferenceRules take() { return std::move(found_); }

 private:
  [[nodiscard]] bool mentions_address(const ForeignRule& rule) const {
    return std::any_of(identity_.addresses.begin(), identity_.addresses.end(),
                       [&rule](const IpAddress& address) { return rule.mentions(address.bytes()); });
  }

  [[nodiscard]] std::vector<ForeignRule> rules_of(std::uint8_t family, const std::string& table) {
    const bool present = std::any_of(chains_.begin(), chains_.end(), [&](const ForeignChain& chain) {
      return chain.family == family && chain.table == table;
    });
    return present ? tables_.list_rules(family, table) : std::vector<ForeignRule>{};
  }

  [[nodiscard]] const ForeignChain* find_chain(std::uint8_t family, const std::string& table,
                                               const std::string& name) const {
    const auto found = std::find_if(chains_.begin(), chains_.end(), [&](const ForeignChain& chain) {
      return chain.family == family && chain.table == table && chain.name == name && chain.type.empty();
    });
    return found == chains_.end() ? nullptr : &*found;
  }

  void find_chain_with_jumps(std::uint8_t family, const std::string& table, const std::string& name) {
    const ForeignChain* chain = find_chain(family, table, name);
    if (chain == nullptr) return;
    found_.chains.push_back(*chain);
    for (ForeignRule& rule : rules_of(family, table)) {
      const bool dies_with_chain =
          std::any_of(found_.chains.begin(), found_.chains.end(), [&rule](const ForeignChain& doomed) {
            return doomed.family == rule.family && doomed.table == rule.table && doomed.name == rule.chain;
          });
      if (rule.target == name && !dies_with_chain) found_.rules.push_back(std::move(rule));
    }
  }

  /// One chain a container and network, one jump an address.
  void find_masquerade(std::uint8_t family) {
    const std::string name = hashed_chain("CNI-", identity_.key);
    const ForeignChain* chain = find_chain(family, "nat", name);
    if (chain == nullptr) return;
    bool used_by_others = false;
    for (ForeignRule& rule : rules_of(family, "nat")) {
      if (rule.target != name) continue;
      if (mentions_address(rule)) {
        found_.rules.push_back(std::move(rule));
      } else {
        used_by_others = true;
      }
    }
    if (!used_by_others) found_.chains.push_back(*chain);
  }

  iptables::ForeignTables& tables_;
  const ReferenceIdentity& identity_;
  std::vector<ForeignChain> chains_;
  ReferenceRules found_;
};

}  // namespace

ReferenceRules find_reference_rules(iptables::ForeignTables& tables, const ReferenceIdentity& identity,
                                    TakeOver what) {
  if (what == TakeOver::kLease) return {};
  RuleFinder finder(tables, identity);
  finder.find_ports();
  if (what == TakeOver::kEverything) finder.find_rest();
  return finder.take();
}

}  // namespace netctl::engine
