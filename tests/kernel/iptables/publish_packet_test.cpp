// Published ports, with packets.

#include "tests/kernel/iptables/packet_lab.hpp"

namespace netctl::iptables {
namespace {

using sample::port;

std::vector<PublishedPort> web_ports() {
  return {port(Protocol::kTcp, nullptr, 8080, "10.88.0.2", 80),
          port(Protocol::kTcp, nullptr, 8080, "fd00:88::2", 80)};
}

TEST_F(PacketLab, PublishedPortIsReachedFromOutside) {
  Listener web4(web(), "10.88.0.2", 80);
  Listener web6(web(), "fd00:88::2", 80);
  EXPECT_EQ(connect(outside(), "203.0.113.1", 8080, web4), "refused") << "nothing is published yet";
  install(lab0(), web_ports());
  EXPECT_EQ(connect(outside(), "203.0.113.1", 8080, web4), "203.0.113.2")
      << "the client's own address is seen";
  EXPECT_EQ(connect(outside(), "198.51.100.1", 8080, web4), "203.0.113.2") << "on every address of the host";
  EXPECT_EQ(connect(outside(), "2001:db8::1", 8080, web6), "2001:db8::2");
  EXPECT_EQ(connect(outside(), "203.0.113.1", 8081, web4), "refused");
  table().withdraw(web_ports());
  EXPECT_EQ(connect(outside(), "203.0.113.1", 8080, web4), "refused");
  EXPECT_EQ(connect(outside(), "2001:db8::1", 8080, web6), "refused");
}

TEST_F(PacketLab, PortOfOneHostAddressIsReachedThereOnly) {
  Listener web4(web(), "10.88.0.2", 80);
  install(lab0(), {port(Protocol::kTcp, "203.0.113.1", 8080, "10.88.0.2", 80)});
  EXPECT_EQ(connect(outside(), "203.0.113.1", 8080, web4), "203.0.113.2");
  EXPECT_EQ(connect(outside(), "198.51.100.1", 8080, web4), "refused");
}

TEST_F(PacketLab, OneHostAddressComesBeforeEveryAddress) {
  Listener web4(web(), "10.88.0.2", 80);
  Listener peer4(peer(), "10.88.0.3", 80);
  install(lab0(), {port(Protocol::kTcp, nullptr, 8080, "10.88.0.2", 80),
                   port(Protocol::kTcp, "198.51.100.1", 8080, "10.88.0.3", 80)});
  EXPECT_EQ(connect(outside(), "203.0.113.1", 8080, web4), "203.0.113.2");
  EXPECT_EQ(connect(outside(), "198.51.100.1", 8080, peer4), "203.0.113.2");
}

TEST_F(PacketLab, RangesKeepTheirDistance) {
  Listener kept(web(), "10.88.0.2", 9002);
  Listener kept6(web(), "fd00:88::2", 9001);
  Listener shifted(web(), "10.88.0.2", 17001);
  install(lab0(), {port(Protocol::kTcp, nullptr, 9000, "10.88.0.2", 9000, 3),
                   port(Protocol::kTcp, "2001:db8::1", 9000, "fd00:88::2", 9000, 3),
                   port(Protocol::kTcp, nullptr, 7000, "10.88.0.2", 17000, 3)});
  EXPECT_EQ(connect(outside(), "203.0.113.1", 9002, kept), "203.0.113.2");
  EXPECT_EQ(connect(outside(), "2001:db8::1", 9001, kept6), "2001:db8::2");
  EXPECT_EQ(connect(outside(), "203.0.113.1", 7001, shifted), "203.0.113.2");
  EXPECT_EQ(connect(outside(), "203.0.113.1", 9003, kept), "refused");
}

TEST_F(PacketLab, HairpinComesFromTheHost) {
  Listener web4(web(), "10.88.0.2", 80);
  Listener web6(web(), "fd00:88::2", 80);
  install(lab0(), web_ports());
  EXPECT_EQ(connect(web(), "203.0.113.1", 8080, web4), "10.88.0.1")
      << "a container through its own published port";
  EXPECT_EQ(connect(peer(), "203.0.113.1", 8080, web4), "10.88.0.1");
  EXPECT_EQ(connect(peer(), "10.88.0.1", 8080, web4), "10.88.0.1");
  EXPECT_EQ(connect(peer(), "2001:db8::1", 8080, web6), "fd00:88::1");
  EXPECT_EQ(connect(peer(), "10.88.0.2", 80, web4), "10.88.0.3") << "without translation the source stays";
}

TEST_F(PacketLab, PublishedPortIsReachedFromAnotherNetwork) {
  Listener web4(web(), "10.88.0.2", 80);
  install(lab0(), web_ports());
  install(lab1());
  EXPECT_EQ(connect(other(), "203.0.113.1", 8080, web4), "10.88.0.1");
}

TEST_F(PacketLab, HostReachesItsPublishedPorts) {
  Listener web4(web(), "10.88.0.2", 80);
  Listener web6(web(), "fd00:88::2", 80);
  install(lab0(), web_ports());
  EXPECT_EQ(connect(host(), "127.0.0.1", 8080, web4), "10.88.0.1");
  EXPECT_EQ(connect(host(), "203.0.113.1", 8080, web4), "203.0.113.1");
  EXPECT_EQ(connect(host(), "2001:db8::1", 8080, web6), "2001:db8::1");
}

TEST_F(PacketLab, HostReachesPortsPublishedOnLoopback) {
  Listener web4(web(), "10.88.0.2", 80);
  install(lab0(), {port(Protocol::kTcp, "127.0.0.1", 8080, "10.88.0.2", 80)});
  EXPECT_EQ(connect(host(), "127.0.0.1", 8080, web4), "10.88.0.1");
  EXPECT_EQ(connect(host(), "203.0.113.1", 8080, web4), "refused");
  EXPECT_EQ(connect(outside(), "203.0.113.1", 8080, web4), "refused");
}

TEST_F(PacketLab, LoopbackOfIpv6RefusesAtOnce) {
  Listener web6(web(), "fd00:88::2", 80);
  install(lab0(), web_ports());
  EXPECT_EQ(connect(host(), "::1", 8080, web6), "refused") << "so that a client goes on to 127.0.0.1";
}

TEST_F(PacketLab, HairpinInsideABridgeThatNetfilterSees) {
  if (!set_bridge_netfilter(true)) return;  // then it is as in HairpinComesFromTheHost
  for (const char* link : {"web", "peer"})
    ip(host(), std::string("link set ") + link + " type bridge_slave hairpin on");
  Listener web4(web(), "10.88.0.2", 80);
  Listener web6(web(), "fd00:88::2", 80);
  install(lab0(), web_ports());
  EXPECT_EQ(connect(web(), "203.0.113.1", 8080, web4), "10.88.0.1");
  EXPECT_EQ(connect(peer(), "203.0.113.1", 8080, web4), "10.88.0.1");
  EXPECT_EQ(connect(peer(), "2001:db8::1", 8080, web6), "fd00:88::1");
  EXPECT_EQ(connect(outside(), "203.0.113.1", 8080, web4), "203.0.113.2");
  EXPECT_EQ(connect(peer(), "10.88.0.2", 80, web4), "10.88.0.3");
}

TEST_F(PacketLab, WithoutLocalMasqueradeTheSourceStays) {
  Listener web4(web(), "10.88.0.2", 80);
  std::vector<PublishedPort> ports = web_ports();
  for (PublishedPort& published : ports) published.masquerade_local = false;
  install(lab0(), ports);
  EXPECT_EQ(connect(outside(), "203.0.113.1", 8080, web4), "203.0.113.2");
  EXPECT_EQ(connect(host(), "127.0.0.1", 8080, web4), "none");
  EXPECT_EQ(connect(peer(), "203.0.113.1", 8080, web4), "none");
}

TEST_F(PacketLab, PassingPacketsKeepTheirDestination) {
  Listener remote(outside(), "203.0.113.2", 8080);
  Listener remote6(outside(), "2001:db8::2", 8080);
  install(lab0(), web_ports());
  EXPECT_EQ(connect(other(), "203.0.113.2", 8080, remote), "10.89.0.2");
  EXPECT_EQ(connect(host(), "203.0.113.2", 8080, remote), "203.0.113.1");
  EXPECT_EQ(connect(other(), "2001:db8::2", 8080, remote6), "fd00:89::2");
}

TEST_F(PacketLab, LoopbackPortIsNotReachedFromTheWire) {
  Listener web4(web(), "10.88.0.2", 80);
  install(lab0(), {port(Protocol::kTcp, "127.0.0.1", 8080, "10.88.0.2", 80)});
  // A neighbour that sends packets to 127.0.0.1 over the wire: its own loopback is down.
  sysctl(outside(), "ipv4/conf/eth0/route_localnet", "1");
  ip(outside(), "route add 127.0.0.0/8 via 203.0.113.1 src 203.0.113.2");
  EXPECT_EQ(connect(outside(), "127.0.0.1", 8080, web4), "none");
  // The same packets do get through once our rules against them are gone: the test can tell.
  nft("flush chain inet netctl prerouting; add rule inet netctl prerouting fib daddr type local jump "
      "publish");
  EXPECT_EQ(connect(outside(), "127.0.0.1", 8080, web4), "203.0.113.2");
}

TEST_F(PacketLab, OperatorsRuleComesBeforePublishing) {
  Listener web4(web(), "10.88.0.2", 80);
  install(lab0(), web_ports());
  nft("add rule inet netctl user-prerouting ip saddr 203.0.113.2 accept");
  EXPECT_EQ(connect(outside(), "203.0.113.1", 8080, web4), "refused");
}

}  // namespace
}  // namespace netctl::iptables
