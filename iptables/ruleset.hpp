#pragma once
// The rules of the table. All of them are made when a network is first used; after that only elements change.

#include <vector>

#include "iptables/nft_rule.hpp"
#include "iptables/policy.hpp"

namespace netctl::iptables {

/// The rules of all chains but the networks' and the operator's, in the order in which they are to stand.
[[nodiscard]] std::vector<RuleBuilder> base_rules();

/// The rules of this network's chain: what is not masqueraded returns, the rest is.
[[nodiscard]] std::vector<RuleBuilder> network_rules(const NetworkPolicy& network);

}  // namespace netctl::iptables
