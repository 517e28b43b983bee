#pragma once
// Packet policy as intent. This folder does the job that operators call "iptables"; the mechanism is nf_tables through
// libnftnl. The iptables binary is never called from here, and what is told here goes into one table, which is ours alone
// (forward_accept.hpp and foreign_rules.hpp are about others' tables). Everything a container needs is an element of a
// set or map, so that its cost does not depend on how many containers there are, and DEL needs no rule handles.

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/ip_address.hpp"

namespace netctl::iptables {

enum class Protocol : std::uint8_t { kTcp = 6, kUdp = 17, kSctp = 132 };

[[nodiscard]] std::string to_string(Protocol protocol);
/// "tcp", "udp", "sctp" in any case. nullopt for anything else.
[[nodiscard]] std::optional<Protocol> parse_protocol(std::string_view text);

/// A port of the host (or `count` consecutive ones that keep their distance) that leads to a container. Ports are in host
/// order. Only packets to an address of the host itself are translated (fib daddr type local).
struct PublishedPort {
  Protocol protocol = Protocol::kTcp;
  std::optional<IpAddress> host_ip;  ///< nullopt: every address of the host of the container's family
  std::uint16_t host_port = 0;
  std::uint16_t count = 1;
  IpAddress container;
  std::uint16_t container_port = 0;
  bool masquerade_local =
      true;  ///< hairpin and localhost work; false leaves the source as it is (portmap's snat: false)
  std::string comment;  ///< who owns it, for people who read `nft list ruleset`; cut to 120 bytes

  auto operator<=>(const PublishedPort&) const = default;
};

/// Which bridges new connections to the containers of one may come through (ingressPolicy of the plugin `firewall`).
enum class Ingress : std::uint8_t {
  kOpen,
  kSameBridge,  ///< not through the other bridges that have such a policy
  kIsolated,    ///< nor through their own one, as far as packets of a bridge are seen here at all
};

/// "open", "same-bridge", "isolated".
[[nodiscard]] std::string to_string(Ingress ingress);
/// "" is open. nullopt for anything else.
[[nodiscard]] std::optional<Ingress> parse_ingress(std::string_view text);

/// What a network wants, independent of its containers.
struct NetworkPolicy {
  std::string network;               ///< CNI name; chain names are made of its hash
  std::string link;                  ///< host-side interface (the bridge); empty when nothing depends on one
  std::vector<IpPrefix> masquerade;  ///< source subnets
  std::vector<IpPrefix>
      masquerade_exclude;  ///< destinations that keep the source, besides own subnets and multicast
  bool publishes = false;  ///< has published ports: hairpin over `link`, guard of 127/8 behind `link`
  bool isolated = false;  ///< nothing new from other networks of ours or from outside, but to published ports
  bool internal = false;  ///< nothing leaves the network and nothing enters, but from the host itself
  Ingress ingress = Ingress::kOpen;  ///< published ports are no exception, other than with `isolated`
  bool tunnelled = false;            ///< has a tunnel to other hosts, see Tunnels

  [[nodiscard]] bool is_empty() const {
    return masquerade.empty() && !publishes && !isolated && !internal && ingress == Ingress::kOpen &&
           !tunnelled;
  }
  auto operator<=>(const NetworkPolicy&) const = default;
};

/// Who may send to the tunnels of all networks of the host. VXLAN asks nobody who he is: what comes to one of these UDP
/// ports (host order) from an address that is no peer there is dropped.
struct Tunnels {
  std::set<std::uint16_t> ports;
  std::set<std::pair<IpAddress, std::uint16_t>>
      peers;  ///< of the underlay, each with the port it may send to

  auto operator<=>(const Tunnels&) const = default;
};

}  // namespace netctl::iptables
