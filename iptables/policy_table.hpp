#pragma once

#include <span>
#include <string>
#include <vector>

#include "iptables/policy.hpp"
#include "netlink/socket.hpp"

namespace netctl::iptables {

/// The table `inet netctl` of the namespace that `socket` (kNetfilter) lives in. Each call is one nf_tables transaction.
///
/// Locks are the caller's: put() and withdraw() under the table lock held shared, everything else held exclusive.
/// No generation id is sent, so that concurrent batches never have to be repeated.
class PolicyTable {
 public:
  explicit PolicyTable(netlink::Socket& socket) : socket_(&socket) {}

  enum class Put { kDone, kTableMissing };

  /// Adds the network's elements and the ports. Idempotent. kTableMissing: the table, or this network's chain in it, is
  /// not there (first use, or flushed by hand): nothing was changed and the caller is to call rebuild().
  /// Errors: kPortTaken when another owner's element has one of the keys (names it when the comment tells); kKernel.
  [[nodiscard]] Put put(const NetworkPolicy& network, std::span<const PublishedPort> ports);

  /// Deletes the ports' elements; those that are gone already are success. An element whose data is not the port's
  /// (somebody else's by now) is left alone, and so is what `staying` ports need, too: several may lead to one port of a
  /// container.
  void withdraw(std::span<const PublishedPort> ports, std::span<const PublishedPort> staying = {});

  /// Deletes every element of a link, but those that one of `staying` has. What is gone already is success. Lock: shared,
  /// unless others may use the link.
  void withdraw_link(const std::string& network, const std::string& link,
                     std::span<const NetworkPolicy> staying);

  /// Makes table, base chains, sets, maps where missing, this network's chain anew with its rules, and all its elements.
  /// Idempotent. Chains named user-* are made once and never flushed.
  void install(const NetworkPolicy& network);

  /// After a flush by hand: install() of all networks and put() of all ports, in one transaction.
  void rebuild(std::span<const NetworkPolicy> networks, std::span<const PublishedPort> ports);

  /// Deletes the network's elements and its chain. What is gone already is success, also the whole table.
  void remove_network(const NetworkPolicy& network);

  /// Deletes the table unless a user-* chain holds rules. False when it was kept.
  bool remove_table();

  /// What of this should be there and is not, or is different, one line each; empty = all is there. Looks up by key
  /// (NFT_MSG_GETSETELEM); changes nothing.
  [[nodiscard]] std::vector<std::string> find_drift(const NetworkPolicy& network,
                                                    std::span<const PublishedPort> ports);

  /// All published ports that the table holds (a dump; for gc and doctor). Empty when there is no table.
  [[nodiscard]] std::vector<PublishedPort> list_ports();
  /// Names of the networks' chains that the table holds, as hashes (see chain_name).
  [[nodiscard]] std::vector<std::string> list_network_chains();
  /// Deletes a chain of list_network_chains() and the elements that lead to it (orphans found by gc).
  void remove_network_chain(const std::string& chain);

 private:
  netlink::Socket* socket_;
};

inline constexpr const char* kTableName = "netctl";

/// "net-" + 16 hex digits of the network name's hash.
[[nodiscard]] std::string chain_name(const std::string& network);

}  // namespace netctl::iptables
