#pragma once
// The sets tunnel_ports and tunnel_peers4/6 of the table: who may send to the tunnels of this host. They are compared and
// mended as a whole, because networks share ports and peers.

#include <string>
#include <vector>

#include "iptables/element.hpp"
#include "iptables/policy.hpp"
#include "netlink/socket.hpp"

namespace netctl::iptables {

[[nodiscard]] std::vector<Element> elements_of(const Tunnels& tunnels);

/// What the table holds; empty when there is no table. Dumps.
[[nodiscard]] Tunnels list_tunnels(netlink::Socket& socket);

/// Brings the sets to `wanted`: only what differs is sent, in one nf_tables transaction, so that no datagram meets a port
/// whose peers are not there yet. The table has to exist (PolicyTable::install). Call with the table lock held exclusive.
/// Returns how many elements were added and deleted. Idempotent. Errors: kKernel.
std::size_t synchronise_tunnels(netlink::Socket& socket, const Tunnels& wanted);

/// What is missing, and what nobody wants, one line each. Changes nothing.
[[nodiscard]] std::vector<std::string> find_tunnel_drift(netlink::Socket& socket, const Tunnels& wanted);

}  // namespace netctl::iptables
