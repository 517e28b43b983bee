#pragma once
// A rule, assembled by verbs that are named after the question about the packet. What each verb emits is what nft emits
// for the same words, so that `nft list ruleset` prints them back.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/ip_address.hpp"
#include "iptables/table_layout.hpp"

struct nftnl_rule;
struct nftnl_expr;

namespace netctl::iptables {

struct RuleDeleter {
  void operator()(nftnl_rule* rule) const;
};
using RulePointer = std::unique_ptr<nftnl_rule, RuleDeleter>;

class RuleBuilder {
 public:
  explicit RuleBuilder(const std::string& chain);

  RuleBuilder& match_source(const IpPrefix& prefix);
  RuleBuilder& match_destination(const IpPrefix& prefix);
  RuleBuilder& match_incoming_link(SetId links);
  RuleBuilder& match_outgoing_link(SetId links);
  /// "iifname . oifname @links"
  RuleBuilder& match_links(SetId links);
  /// The destination is an address of this host ("fib daddr type local").
  RuleBuilder& match_local_destination();
  /// The connection's destination was translated, by whomever ("ct status dnat").
  RuleBuilder& match_translated_destination();
  /// "ct state established,related"
  RuleBuilder& match_known_connection();
  /// "meta l4proto . th dport @ports"
  RuleBuilder& match_port(SetId ports);
  /// "ip saddr . th dport @senders"
  RuleBuilder& match_sender(Family family, SetId senders);
  /// "ip daddr . meta l4proto . th dport @targets"
  RuleBuilder& match_target(Family family, SetId targets);

  /// "ip saddr vmap @map"
  RuleBuilder& look_up_source(Family family, SetId map);
  /// "dnat ip to ... map @map", the key being the one of the map.
  RuleBuilder& translate_destination(Family family, SetId map);
  RuleBuilder& masquerade();
  RuleBuilder& jump(const std::string& chain);
  RuleBuilder& accept();
  RuleBuilder& drop();
  RuleBuilder& return_to_caller();

  RuleBuilder& comment(const std::string& text);

  [[nodiscard]] nftnl_rule* get() const { return rule_.get(); }
  [[nodiscard]] const std::string& chain() const { return chain_; }

 private:
  template <class Fill>
  RuleBuilder& expression(const char* kind, Fill&& fill);
  RuleBuilder& require_family(Family family);
  RuleBuilder& load_meta(std::uint32_t key, std::size_t word);
  RuleBuilder& load_payload(std::uint32_t base, std::uint32_t offset, std::size_t size, std::size_t word);
  RuleBuilder& load_flow_key(Family family, const SetShape& shape);
  RuleBuilder& compare(std::uint32_t operation, const void* data, std::size_t size);
  RuleBuilder& mask(const std::vector<std::uint8_t>& mask);
  RuleBuilder& match_bits(std::uint32_t conntrack_key, std::uint32_t bits);
  RuleBuilder& match_address(const IpPrefix& prefix, std::uint32_t offset);
  RuleBuilder& look_up(SetId set);
  RuleBuilder& verdict(std::int32_t code, const std::string& chain);

  std::string chain_;
  RulePointer rule_;
};

/// The rule's expressions as text, one after the other; equal for equal rules, whether built here or read from the kernel.
[[nodiscard]] std::string describe_expressions(nftnl_rule* rule);

}  // namespace netctl::iptables
