// Masquerading, isolation, internal networks and the guard of the loopback addresses, with packets. Every "is dropped"
// stands beside the same packet getting through without the policy.

#include "tests/kernel/iptables/packet_lab.hpp"

namespace netctl::iptables {
namespace {

using sample::port;

NetworkPolicy isolated(NetworkPolicy network) {
  network.isolated = true;
  return network;
}

NetworkPolicy internal(NetworkPolicy network) {
  network.internal = true;
  return network;
}

TEST_F(PacketLab, MasqueradesWhatLeavesTheNetwork) {
  Listener remote(outside(), "203.0.113.2", 7);
  Listener remote6(outside(), "2001:db8::2", 7);
  EXPECT_EQ(connect(web(), "203.0.113.2", 7, remote), "10.88.0.2");
  install(lab0());
  EXPECT_EQ(connect(web(), "203.0.113.2", 7, remote), "203.0.113.1");
  EXPECT_EQ(connect(web(), "2001:db8::2", 7, remote6), "2001:db8::1");
  EXPECT_EQ(connect(other(), "203.0.113.2", 7, remote), "10.89.0.2") << "the other network is not ours";
}

TEST_F(PacketLab, DoesNotMasqueradeExclusionsAndTheOwnSubnet) {
  Listener excluded(outside(), "192.168.4.2", 7);
  Listener neighbour(peer(), "10.88.0.3", 7);
  install(lab0());
  EXPECT_EQ(connect(web(), "192.168.4.2", 7, excluded), "10.88.0.2");
  EXPECT_EQ(connect(web(), "10.88.0.3", 7, neighbour), "10.88.0.2");
}

TEST_F(PacketLab, IsolatedNetworkIsReachedThroughPublishedPortsOnly) {
  Listener web4(web(), "10.88.0.2", 80);
  Listener web6(web(), "fd00:88::2", 80);
  const std::vector<PublishedPort> ports{port(Protocol::kTcp, nullptr, 8080, "10.88.0.2", 80),
                                         port(Protocol::kTcp, nullptr, 8080, "fd00:88::2", 80)};
  install(lab0(), ports);
  install(lab1());
  EXPECT_EQ(connect(outside(), "10.88.0.2", 80, web4), "203.0.113.2") << "by its route";
  EXPECT_EQ(connect(outside(), "fd00:88::2", 80, web6), "2001:db8::2");
  EXPECT_EQ(connect(other(), "10.88.0.2", 80, web4), "10.88.0.1");

  install(isolated(lab0()), ports);
  EXPECT_EQ(connect(outside(), "10.88.0.2", 80, web4), "none");
  EXPECT_EQ(connect(outside(), "fd00:88::2", 80, web6), "none");
  EXPECT_EQ(connect(other(), "10.88.0.2", 80, web4), "none");
  EXPECT_EQ(connect(outside(), "203.0.113.1", 8080, web4), "203.0.113.2");
  EXPECT_EQ(connect(outside(), "2001:db8::1", 8080, web6), "2001:db8::2");
  EXPECT_EQ(connect(other(), "203.0.113.1", 8080, web4), "10.88.0.1");
  EXPECT_EQ(connect(peer(), "10.88.0.2", 80, web4), "10.88.0.3") << "its own members";
  EXPECT_EQ(connect(host(), "10.88.0.2", 80, web4), "10.88.0.1") << "and the host";
}

TEST_F(PacketLab, IsolatedNetworkTalksInsideABridgeThatNetfilterSees) {
  (void)set_bridge_netfilter(true);
  Listener web4(web(), "10.88.0.2", 80);
  install(internal(isolated(lab0())));
  EXPECT_EQ(connect(peer(), "10.88.0.2", 80, web4), "10.88.0.3");
  EXPECT_EQ(connect(outside(), "10.88.0.2", 80, web4), "none");
}

TEST_F(PacketLab, IsolatedNetworkReachesOutsideButNoOtherNetwork) {
  Listener remote(outside(), "203.0.113.2", 7);
  Listener other4(other(), "10.89.0.2", 7);
  install(lab0());
  install(lab1(), {port(Protocol::kTcp, nullptr, 7007, "10.89.0.2", 7)});
  EXPECT_EQ(connect(web(), "10.89.0.2", 7, other4), "10.89.0.1");
  install(isolated(lab0()));
  EXPECT_EQ(connect(web(), "203.0.113.2", 7, remote), "203.0.113.1");
  EXPECT_EQ(connect(web(), "10.89.0.2", 7, other4), "none");
  EXPECT_EQ(connect(web(), "203.0.113.1", 7007, other4), "10.89.0.1") << "what that one publishes";
}

TEST_F(PacketLab, InternalNetworkTalksToTheHostOnly) {
  Listener remote(outside(), "203.0.113.2", 7);
  Listener on_host(host(), "10.88.0.1", 7);
  Listener web4(web(), "10.88.0.2", 80);
  const std::vector<PublishedPort> ports{port(Protocol::kTcp, nullptr, 8080, "10.88.0.2", 80)};
  install(lab0(), ports);
  EXPECT_EQ(connect(web(), "203.0.113.2", 7, remote), "203.0.113.1");
  EXPECT_EQ(connect(outside(), "203.0.113.1", 8080, web4), "203.0.113.2");
  install(internal(lab0()), ports);
  EXPECT_EQ(connect(web(), "203.0.113.2", 7, remote), "none");
  EXPECT_EQ(connect(outside(), "203.0.113.1", 8080, web4), "none");
  EXPECT_EQ(connect(outside(), "10.88.0.2", 80, web4), "none");
  EXPECT_EQ(connect(peer(), "10.88.0.2", 80, web4), "10.88.0.3");
  EXPECT_EQ(connect(host(), "10.88.0.2", 80, web4), "10.88.0.1");
  EXPECT_EQ(connect(host(), "127.0.0.1", 8080, web4), "10.88.0.1");
  EXPECT_EQ(connect(web(), "10.88.0.1", 7, on_host), "10.88.0.2");
}

TEST_F(PacketLab, OperatorsRuleComesBeforeIsolation) {
  Listener web4(web(), "10.88.0.2", 80);
  install(isolated(lab0()));
  EXPECT_EQ(connect(outside(), "10.88.0.2", 80, web4), "none");
  nft("add rule inet netctl user-forward ip saddr 203.0.113.2 accept");
  EXPECT_EQ(connect(outside(), "10.88.0.2", 80, web4), "203.0.113.2");
}

TEST_F(PacketLab, GuardKeepsContainersFromTheHostsLoopback) {
  Listener secret(host(), "127.0.0.1", 9999);
  // A container that sends packets to 127.0.0.1 over its interface (its own loopback is down); route_localnet on the
  // bridge lets them in.
  sysctl(web(), "ipv4/conf/eth0/route_localnet", "1");
  ip(web(), "route add 127.0.0.0/8 via 10.88.0.1 src 10.88.0.2");
  EXPECT_EQ(connect(web(), "127.0.0.1", 9999, secret), "10.88.0.2") << "without the guard";
  install(lab0());
  EXPECT_EQ(connect(web(), "127.0.0.1", 9999, secret), "none");
}

TEST_F(PacketLab, RebuildBringsPublishingAndIsolationBack) {
  Listener web4(web(), "10.88.0.2", 80);
  const std::vector<PublishedPort> ports{port(Protocol::kTcp, nullptr, 8080, "10.88.0.2", 80)};
  install(isolated(lab0()), ports);
  EXPECT_EQ(connect(outside(), "203.0.113.1", 8080, web4), "203.0.113.2");
  nft("flush ruleset");
  EXPECT_EQ(connect(outside(), "203.0.113.1", 8080, web4), "refused");
  const std::vector<NetworkPolicy> networks{isolated(lab0())};
  table().rebuild(networks, ports);
  EXPECT_EQ(connect(outside(), "203.0.113.1", 8080, web4), "203.0.113.2");
  EXPECT_EQ(connect(outside(), "10.88.0.2", 80, web4), "none");
}

}  // namespace
}  // namespace netctl::iptables
