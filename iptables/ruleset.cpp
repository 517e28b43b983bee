#include "iptables/ruleset.hpp"

#include "iptables/policy_table.hpp"

namespace netctl::iptables {
namespace {

IpPrefix prefix(const char* text) { return IpPrefix::parse(text).value(); }

/// The engine sets route_localnet on bridges that publish (a container's answer to 127.0.0.1 would be dropped else), and
/// with that the kernel stops dropping foreign packets to and from 127.0.0.0/8 there (CVE-2020-8558). This comes before
/// connection tracking and before any address translation.
void add_guard(std::vector<RuleBuilder>& rules) {
  const IpPrefix loopback = prefix("127.0.0.0/8");
  rules.emplace_back(kRawGuard).match_destination(loopback).match_incoming_link(SetId::kGuardedLinks).drop();
  rules.emplace_back(kRawGuard).match_source(loopback).match_incoming_link(SetId::kGuardedLinks).drop();
}

void add_publish(std::vector<RuleBuilder>& rules) {
  rules.emplace_back(kPrerouting).jump(kUserPrerouting);
  // A port published on 127.0.0.1 is for this host: translation here would come before the kernel sees that a packet from
  // outside has no business with that address.
  rules.emplace_back(kPrerouting).match_destination(prefix("127.0.0.0/8")).return_to_caller();
  // The kernel sends nothing from ::1 to another interface: translated, a connection to it would hang. Left alone it is
  // refused at once, and who asked for "localhost" goes on to 127.0.0.1.
  for (const char* chain : {kPrerouting, kOutput}) {
    rules.emplace_back(chain).match_destination(prefix("::1/128")).return_to_caller();
  }
  // Packets that only pass through keep their destination, whatever their port (CVE-2025-67499).
  for (const char* chain : {kPrerouting, kOutput}) {
    rules.emplace_back(chain).match_local_destination().jump(kPublish);
  }
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    for (const bool with_host_ip : {true, false}) {
      for (const bool ranges : {false, true}) {
        rules.emplace_back(kPublish).translate_destination(family, publish_map(family, with_host_ip, ranges));
      }
    }
  }
}

void add_source_translation(std::vector<RuleBuilder>& rules) {
  rules.emplace_back(kPostrouting).match_translated_destination().jump(kPublished);
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    rules.emplace_back(kPostrouting).look_up_source(family, masquerade_map(family));
  }
  rules.emplace_back(kPublished)
      .match_links(SetId::kSameLinks)
      .jump(kMasqueradePublished)
      .comment("hairpin: answers must come back here");
  rules.emplace_back(kPublished).match_source(prefix("127.0.0.0/8")).jump(kMasqueradePublished);
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    rules.emplace_back(kMasqueradePublished).match_target(family, published_targets(family)).masquerade();
  }
}

void add_forward(std::vector<RuleBuilder>& rules) {
  const auto rule = [&rules]() -> RuleBuilder& { return rules.emplace_back(kForward); };
  rule().jump(kUserForward);
  // "accept" ends this chain only: other tables still decide.
  rule().match_known_connection().accept();
  rule().match_incoming_link(SetId::kPartedLinks).match_outgoing_link(SetId::kPartedLinks).drop();
  rule().match_links(SetId::kSameLinks).accept();
  rule().match_incoming_link(SetId::kInternalLinks).drop();
  rule().match_outgoing_link(SetId::kInternalLinks).drop();
  rule().match_incoming_link(SetId::kIngressLinks).match_outgoing_link(SetId::kIngressLinks).drop();
  rule().match_translated_destination().accept().comment("published");
  rule().match_outgoing_link(SetId::kIsolatedLinks).drop();
  rule().match_incoming_link(SetId::kIsolatedLinks).match_outgoing_link(SetId::kOwnLinks).drop();
}

/// VXLAN has no authentication: whoever reaches the port could send any frame to any container.
void add_tunnel_guard(std::vector<RuleBuilder>& rules) {
  rules.emplace_back(kInput).match_port(SetId::kTunnelPorts).jump(kTunnelGuard);
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    rules.emplace_back(kTunnelGuard).match_sender(family, tunnel_peers(family)).return_to_caller();
  }
  rules.emplace_back(kTunnelGuard).drop().comment("no peer of an overlay");
}

}  // namespace

std::vector<RuleBuilder> base_rules() {
  std::vector<RuleBuilder> rules;
  add_guard(rules);
  add_publish(rules);
  add_source_translation(rules);
  add_forward(rules);
  add_tunnel_guard(rules);
  return rules;
}

std::vector<RuleBuilder> network_rules(const NetworkPolicy& network) {
  std::vector<RuleBuilder> rules;
  if (network.masquerade.empty()) return rules;
  std::vector<IpPrefix> kept = network.masquerade;
  kept.push_back(prefix("224.0.0.0/4"));
  kept.push_back(prefix("ff00::/8"));
  kept.insert(kept.end(), network.masquerade_exclude.begin(), network.masquerade_exclude.end());
  const std::string chain = chain_name(network.network);
  // With br_netfilter a hairpin stays inside the bridge, and the packet does not tell any more where it came in.
  rules.emplace_back(chain).match_translated_destination().jump(kMasqueradePublished);
  for (const IpPrefix& destination : kept) {
    rules.emplace_back(chain).match_destination(destination).return_to_caller();
  }
  rules.emplace_back(chain).masquerade();
  return rules;
}

}  // namespace netctl::iptables
