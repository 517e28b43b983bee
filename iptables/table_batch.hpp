#pragma once
// The parts of a batch that makes or re-makes the table.

#include "iptables/nft_batch.hpp"
#include "iptables/policy.hpp"

namespace netctl::iptables {

/// Table, sets and chains where missing, and all rules but those of networks and operators anew.
void add_base(NftBatch& batch);

/// The network's chain with its rules anew, its elements, and none of its link where its policy does not want it.
void add_network(NftBatch& batch, const NetworkPolicy& network);

}  // namespace netctl::iptables
