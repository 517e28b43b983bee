#include "iptables/table_batch.hpp"

#include "iptables/policy_elements.hpp"
#include "iptables/policy_table.hpp"
#include "iptables/ruleset.hpp"

namespace netctl::iptables {

void add_base(NftBatch& batch) {
  batch.add_table();
  for (const SetShape& set : all_sets()) batch.add_set(set);
  for (const ChainShape& chain : all_chains()) {
    batch.add_chain(chain);
    if (!is_user_chain(chain.name)) batch.flush_chain(chain.name);
  }
  for (const RuleBuilder& rule : base_rules()) batch.add_rule(rule);
}

void add_network(NftBatch& batch, const NetworkPolicy& network) {
  const std::string chain = chain_name(network.network);
  batch.add_chain(chain);
  batch.flush_chain(chain);
  for (const RuleBuilder& rule : network_rules(network)) batch.add_rule(rule);
  batch.add_elements(elements_of(network));
  // What is added first can be deleted without knowing whether it was there.
  const std::vector<Element> unwanted = unwanted_elements_of(network);
  batch.add_elements(unwanted);
  batch.delete_elements(unwanted);
}

}  // namespace netctl::iptables
