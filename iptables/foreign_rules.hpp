#pragma once
// Rules and chains of other tools' tables, as far as they have to be recognised: to say which chain drops what we forward,
// and to remove those that were made for one attachment that we take over. Everything here is a dump; nothing of it is on
// the hot path, and nothing but remove() changes anything.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "netlink/socket.hpp"

namespace netctl::iptables {

/// Family numbers of nf_tables (NFPROTO_IPV4, ...).
struct ForeignChain {
  std::uint8_t family = 0;
  std::string table, name;
  std::string type;                  ///< empty without a hook
  std::uint32_t hook = 0;            ///< NF_INET_*, when `type` is not empty
  std::optional<bool> drops_others;  ///< policy: what no rule decides is dropped
};

struct ForeignRule {
  std::uint8_t family = 0;
  std::string table, chain;
  std::uint64_t handle = 0;
  std::string comment;       ///< nft's own, or that of iptables' match `comment`
  std::string target;        ///< chain that is jumped or gone to; empty: none
  std::string verdict;       ///< "accept", "drop" or empty
  bool conditional = false;  ///< matches some packets only
  std::vector<std::vector<std::uint8_t>>
      constants;  ///< what is compared with, or loaded (an address, a port)

  [[nodiscard]] bool mentions(std::span<const std::uint8_t> constant) const;
};

class ForeignTables {
 public:
  explicit ForeignTables(netlink::Socket& socket) : socket_(&socket) {}

  /// Of all families, our own table's too.
  [[nodiscard]] std::vector<ForeignChain> list_chains();
  /// Of one table, in order; empty when there is no such table.
  [[nodiscard]] std::vector<ForeignRule> list_rules(std::uint8_t family, const std::string& table);

  /// Deletes the rules by their handles (never used twice in a table) and then the chains with all rules that they hold, in
  /// one transaction. False when something of it changed meanwhile: nothing was removed, and the caller should look again.
  /// Errors: kKernel.
  [[nodiscard]] bool remove(const std::vector<ForeignRule>& rules, const std::vector<ForeignChain>& chains);

 private:
  netlink::Socket* socket_;
};

/// "ip", "ip6", "inet", "arp", "bridge", "netdev".
[[nodiscard]] std::string family_name(std::uint8_t family);

}  // namespace netctl::iptables
