#pragma once
// Real packets: a host with two bridges, containers on them, and a neighbour outside, each in a namespace of its own.
//
//   outside 203.0.113.2 ---- wan 203.0.113.1  HOST  lab0 10.88.0.1/16 ---- web 10.88.0.2, peer 10.88.0.3
//                            wan 198.51.100.1       lab1 10.89.0.1/16 ---- other 10.89.0.2
//
// and the same in IPv6 (2001:db8::/64, fd00:88::/64, fd00:89::/64). The neighbour has routes to both bridges through the
// host, as an attacker on the same wire would.

#include <optional>
#include <string>

#include "base/unique_fd.hpp"
#include "tests/kernel/iptables/table_fixture.hpp"

namespace netctl::iptables {

/// A TCP server that accepts by itself (the kernel's backlog); it lives in the namespace that it was opened in.
class Listener {
 public:
  Listener(const netlink::Netns& netns, const char* address, unsigned port);
  /// The source address of the next connection; "none" when there is none.
  [[nodiscard]] std::string next_client();

 private:
  UniqueFd fd_;
};

class PacketLab : public PolicyTableTest {
 protected:
  void SetUp() override;

  /// Connects from `netns` to address and port, and tells which source address the server saw; "refused" when nobody
  /// listens where the packet went, "none" when there was no answer within a third of a second.
  static std::string connect(const netlink::Netns& netns, const char* address, unsigned port,
                             Listener& server);

  [[nodiscard]] const netlink::Netns& outside() const { return *outside_; }
  [[nodiscard]] const netlink::Netns& web() const { return *web_; }
  [[nodiscard]] const netlink::Netns& peer() const { return *peer_; }
  [[nodiscard]] const netlink::Netns& other() const { return *other_; }

  /// The networks of the two bridges; both masquerade and publish.
  [[nodiscard]] static NetworkPolicy lab0();
  [[nodiscard]] static NetworkPolicy lab1();
  void install(const NetworkPolicy& network, const std::vector<PublishedPort>& ports = {});

  /// Runs `ip ARGUMENTS` (cut at spaces) in the namespace.
  static void ip(const netlink::Netns& netns, const std::string& arguments);
  static void sysctl(const netlink::Netns& netns, const std::string& path, const std::string& value);
  /// Whether frames that stay inside a bridge are shown to netfilter as well, as Kubernetes wants it; SetUp switches it
  /// off. False when br_netfilter is not loaded.
  bool set_bridge_netfilter(bool on);

 private:
  void add_bridge(const std::string& name, const std::string& subnet4, const std::string& subnet6);
  [[nodiscard]] netlink::Netns add_container(const std::string& bridge, const std::string& link,
                                             const std::string& net4, const std::string& net6,
                                             unsigned number);
  void add_outside();

  std::optional<netlink::Netns> outside_;
  std::optional<netlink::Netns> web_;
  std::optional<netlink::Netns> peer_;
  std::optional<netlink::Netns> other_;
};

}  // namespace netctl::iptables
