#pragma once
// A network that uses every set and every kind of rule. golden/table.nft is what `nft list ruleset` prints of it.

#include <vector>

#include "iptables/policy.hpp"

namespace netctl::iptables::sample {

inline IpAddress ip(const char* text) { return IpAddress::parse(text).value(); }
inline IpPrefix prefix(const char* text) { return IpPrefix::parse(text).value(); }

inline NetworkPolicy network() {
  NetworkPolicy network;
  network.network = "lab";
  network.link = "lab0";
  network.masquerade = {prefix("10.88.0.0/16"), prefix("fd00:88::/64")};
  network.masquerade_exclude = {prefix("192.168.4.0/22"), prefix("fd00:99::/48")};
  network.publishes = true;
  network.isolated = true;
  network.internal = true;
  network.ingress = Ingress::kIsolated;
  network.tunnelled = true;
  return network;
}

inline Tunnels tunnels() {
  return {{4789}, {{ip("192.0.2.2"), std::uint16_t{4789}}, {ip("fd00:2::2"), std::uint16_t{4789}}}};
}

inline PublishedPort port(Protocol protocol, const char* host_ip, unsigned host_port, const char* container,
                          unsigned container_port, unsigned count = 1) {
  PublishedPort port;
  port.protocol = protocol;
  if (host_ip != nullptr) port.host_ip = ip(host_ip);
  port.host_port = static_cast<std::uint16_t>(host_port);
  port.count = static_cast<std::uint16_t>(count);
  port.container = ip(container);
  port.container_port = static_cast<std::uint16_t>(container_port);
  port.comment = "web";
  return port;
}

/// Single ports and ranges, with and without an address of the host, IPv4 and IPv6, with and without the host's source.
inline std::vector<PublishedPort> ports() {
  std::vector<PublishedPort> ports{
      port(Protocol::kTcp, nullptr, 8080, "10.88.0.2", 80),
      port(Protocol::kUdp, "127.0.0.1", 5353, "10.88.0.2", 53),
      port(Protocol::kTcp, nullptr, 9000, "10.88.0.2", 9000, 3),
      port(Protocol::kUdp, "10.0.0.1", 7000, "10.88.0.2", 7000, 2),
      port(Protocol::kTcp, "0.0.0.0", 6000, "10.88.0.2", 16000, 2),  // shifted: one element a port
      port(Protocol::kSctp, "::", 8080, "fd00:88::2", 80),
      port(Protocol::kUdp, "fd00::1", 5353, "fd00:88::2", 53),
      port(Protocol::kTcp, nullptr, 9000, "fd00:88::2", 9000, 3),
      port(Protocol::kTcp, "fd00::1", 7000, "fd00:88::2", 7000, 2),
  };
  ports[3].masquerade_local = false;
  ports[8].masquerade_local = false;
  return ports;
}

}  // namespace netctl::iptables::sample
