#pragma once
// Durable facts: addresses kept for a name, and subnets that were chosen for networks without a range of their own.

#include <optional>
#include <string>
#include <vector>

#include "ipam/store.hpp"

namespace netctl::ipam {

void put_reservation(Transaction& durable, const ReservationRecord& reservation);
/// False when there was none.
bool erase_reservation(Transaction& durable, const std::string& network, const std::string& name);
[[nodiscard]] std::vector<ReservationRecord> list_reservations(
    const Transaction& durable, const std::optional<std::string>& network = {});

/// The subnets that were chosen for a network, in the order of the families asked for.
[[nodiscard]] std::vector<IpPrefix> find_chosen_subnets(const Transaction& durable,
                                                        const std::string& network);
void put_chosen_subnets(Transaction& durable, const std::string& network,
                        const std::vector<IpPrefix>& subnets);
void erase_chosen_subnets(Transaction& durable, const std::string& network);
[[nodiscard]] std::vector<IpPrefix> list_chosen_subnets(const Transaction& durable);

/// The first subnet of the default list (172.17.0.0/16, then 10.210.0.0/16 in /24s) that overlaps none of `in_use`.
/// Errors: kSubnetUnavailable.
[[nodiscard]] IpPrefix choose_ipv4_subnet(const std::vector<IpPrefix>& in_use);

}  // namespace netctl::ipam
