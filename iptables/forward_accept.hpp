#pragma once
// Accepts in a place of somebody else. An accept in our own table does not overrule the drop of another one, so what
// containers send would not be forwarded where iptables (its nf_tables variant) has a FORWARD chain that drops: by policy,
// as Docker, ufw and Kubernetes distributions set it, or by a rule. There, and only there, rules of ours go into the table
// `filter` of iptables, in the very form in which iptables would have added them, so that iptables-save still prints them.
//
// They carry a comment that names us, and are removed only while they are byte for byte what was added.

#include <optional>
#include <string>
#include <vector>

#include "base/ip_address.hpp"
#include "netlink/socket.hpp"

namespace netctl::iptables {

/// What passes: all that comes from `addresses`; of what goes to them, answers, and connections whose destination was
/// translated (published ports). Before that `admin_chain` is asked.
struct ForwardAccept {
  std::string chain;  ///< of the table `filter`
  std::string link;   ///< that the addresses are behind; empty: whichever
  IpPrefix addresses;
  std::string admin_chain;  ///< empty: none

  [[nodiscard]] Family family() const { return addresses.address.family(); }
};

/// The comment of the rules: "netctl: " and the addresses.
[[nodiscard]] std::string forward_comment(const IpPrefix& addresses);

/// The tables `filter` of iptables, in the namespace that `socket` (kNetfilter) lives in. The caller holds the table lock
/// exclusively: of two that add the same rules one finds them there.
class ForwardFilter {
 public:
  explicit ForwardFilter(netlink::Socket& socket) : socket_(&socket) {}

  /// Where accepts belong: DOCKER-USER, which Docker asks first and never changes, else FORWARD. nullopt when the table
  /// has no FORWARD chain with a hook: then iptables drops nothing.
  [[nodiscard]] std::optional<std::string> find_chain(Family family);
  [[nodiscard]] bool has_chain(Family family, const std::string& chain);

  /// Puts the rules to the head of the chain, unless they are all there. Errors: kKernel.
  void add(const ForwardAccept& accept);
  /// Every rule of that table which is exactly one that add() makes, in whatever chain. Idempotent; chains and tables that
  /// are gone are success.
  void remove(const ForwardAccept& accept);
  [[nodiscard]] bool has(const ForwardAccept& accept);

 private:
  netlink::Socket* socket_;
};

}  // namespace netctl::iptables
