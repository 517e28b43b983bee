// PolicyTable::find_drift: what should be there, compared with what is.

#include <algorithm>
#include <map>
#include <set>

#include "iptables/nft_reader.hpp"
#include "iptables/policy_elements.hpp"
#include "iptables/policy_table.hpp"
#include "iptables/ruleset.hpp"

namespace netctl::iptables {
namespace {

using RulesByChain = std::map<std::string, std::vector<std::string>>;

RulesByChain describe_rules(const std::vector<RuleBuilder>& rules) {
  RulesByChain by_chain;
  for (const RuleBuilder& rule : rules) by_chain[rule.chain()].push_back(describe_expressions(rule.get()));
  return by_chain;
}

class DriftFinder {
 public:
  explicit DriftFinder(netlink::Socket& socket) : reader_(socket) {}

  std::vector<std::string> find(const NetworkPolicy& network, std::span<const PublishedPort> ports) {
    if (!reader_.has_table()) {
      report("table inet netctl is missing");
      return std::move(lines_);
    }
    compare_sets();
    compare_chains(network);
    compare_rules(network);
    for (const Element& element : elements_of(network)) require(element);
    for (const Element& element : elements_of(ports)) require(element);
    for (const Element& element : unwanted_elements_of(network)) {
      if (reader_.find_element(element)) report(describe(element) + " should not be there");
    }
    return std::move(lines_);
  }

 private:
  void report(std::string line) { lines_.push_back(std::move(line)); }

  void compare_sets() {
    const std::vector<std::string> names = reader_.list_sets();
    for (const SetShape& set : all_sets()) {
      if (std::find(names.begin(), names.end(), set.name) == names.end()) {
        report(std::string(set.is_map() ? "map " : "set ") + set.name + " is missing");
      }
    }
  }

  void compare_chains(const NetworkPolicy& network) {
    std::map<std::string, ChainState> present;
    for (ChainState& chain : reader_.list_chains()) present[chain.name] = chain;
    for (const ChainShape& chain : all_chains()) {
      const auto found = present.find(chain.name);
      if (found == present.end()) {
        report(std::string("chain ") + chain.name + " is missing");
      } else if (chain.type != nullptr &&
                 (found->second.type != chain.type || found->second.hook != chain.hook ||
                  found->second.priority != chain.priority)) {
        report(std::string("chain ") + chain.name + " has another type, hook or priority");
      }
    }
    if (!present.contains(chain_name(network.network))) {
      report("chain " + chain_name(network.network) + " of network " + network.network + " is missing");
    }
  }

  void compare_rules(const NetworkPolicy& network) {
    RulesByChain wanted = describe_rules(base_rules());
    wanted.merge(describe_rules(network_rules(network)));
    for (const auto& [chain, rules] : wanted) {
      if (reader_.list_rules(chain) != rules)
        report("the rules of chain " + chain + " are not as netctl made them");
    }
  }

  void require(const Element& element) {
    if (reader_.holds(element)) return;
    const std::optional<Element> found = reader_.find_element(element);
    report(describe(element) + (found ? " is different: " + describe(*found) : " is missing"));
  }

  NftReader reader_;
  std::vector<std::string> lines_;
};

}  // namespace

std::vector<std::string> PolicyTable::find_drift(const NetworkPolicy& network,
                                                 std::span<const PublishedPort> ports) {
  return DriftFinder(*socket_).find(network, ports);
}

}  // namespace netctl::iptables
