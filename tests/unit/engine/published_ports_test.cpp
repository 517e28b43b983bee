#include <gmock/gmock.h>

#include "plugins/engine/plan.hpp"
#include "plugins/engine/ports.hpp"
#include "tests/unit/engine/sample.hpp"

namespace netctl::engine {
namespace {

using sample::address;
using sample::key;
using sample::port;

const std::vector<IpAddress> kDualStack = {address("10.1.0.5"), address("fd00:1::5")};

std::vector<std::string> containers(const std::vector<iptables::PublishedPort>& ports) {
  std::vector<std::string> texts;
  for (const iptables::PublishedPort& one : ports) texts.push_back(one.container.to_string());
  return texts;
}

TEST(PublishedPorts, AreNoneWithoutClaims) { EXPECT_TRUE(published_ports(key(), {}).empty()); }

TEST(PublishedPorts, CarryEverythingOfTheClaim) {
  ipam::PortRecord record = port(8000, 80);
  record.protocol = 17;
  record.count = 11;
  record.host_ip = address("192.0.2.1");
  record.masquerade_local = false;
  const auto ports = published_ports(key(), {record});
  ASSERT_EQ(ports.size(), 1U);
  iptables::PublishedPort expected;
  expected.protocol = iptables::Protocol::kUdp;
  expected.host_ip = address("192.0.2.1");
  expected.host_port = 8000;
  expected.count = 11;
  expected.container = address("10.1.0.5");
  expected.container_port = 80;
  expected.masquerade_local = false;
  expected.comment = "blue/0123456789abcdef0123456789abcdef/eth0";
  EXPECT_EQ(ports.front(), expected);
}

TEST(PublishedPorts, LeadToEachFamilyThatTheHostAddressFits) {
  const struct {
    std::optional<IpAddress> host_ip;
    std::vector<std::string> expected;
  } cases[] = {
      {std::nullopt, {"10.1.0.5", "fd00:1::5"}},
      {address("0.0.0.0"), {"10.1.0.5"}},
      {address("::"), {"fd00:1::5"}},
      {address("127.0.0.1"), {"10.1.0.5"}},
      {address("2001:db8::1"), {"fd00:1::5"}},
  };
  for (const auto& one : cases) {
    ipam::PortRecord record = port(8080, 80, kDualStack);
    record.host_ip = one.host_ip;
    EXPECT_EQ(containers(published_ports(key(), {record})), one.expected)
        << (one.host_ip ? one.host_ip->to_string() : "every host address");
  }
}

TEST(PublishedPorts, HaveNoHostAddressWhereEveryOneIsMeant) {
  for (const char* any : {"0.0.0.0", "::"}) {
    ipam::PortRecord record = port(8080, 80, kDualStack);
    record.host_ip = address(any);
    const auto ports = published_ports(key(), {record});
    ASSERT_EQ(ports.size(), 1U) << any;
    EXPECT_FALSE(ports.front().host_ip) << any;
  }
}

TEST(PublishedPorts, AreNoneForAHostAddressOfAnotherFamily) {
  ipam::PortRecord record = port(8080, 80);
  record.host_ip = address("::1");
  EXPECT_TRUE(published_ports(key(), {record}).empty());
}

TEST(PortRecords, AreTheMappingsWithTheirClaimant) {
  cni::PortMapping mapping;
  mapping.host_ip = address("127.0.0.1");
  mapping.host_port = 0;
  mapping.container_port = 53;
  mapping.count = 3;
  mapping.protocol = "udp";
  const auto records = port_records({mapping}, kDualStack, "portmap", false);
  ipam::PortRecord expected = port(0, 53, kDualStack);
  expected.protocol = 17;
  expected.host_ip = address("127.0.0.1");
  expected.count = 3;
  expected.masquerade_local = false;
  expected.claimed_by = {"portmap"};
  ASSERT_EQ(records.size(), 1U);
  EXPECT_EQ(records.front(), expected);
}

TEST(PortRecords, AreWrittenAsPeopleWriteThem) {
  ipam::PortRecord record = port(8081, 80);
  EXPECT_EQ(to_string(record), "8081/tcp");
  record.host_ip = address("127.0.0.1");
  EXPECT_EQ(to_string(record), "127.0.0.1:8081/tcp");
  record.host_ip = address("::1");
  EXPECT_EQ(to_string(record), "[::1]:8081/tcp");
  record.host_ip.reset();
  record.host_port = 8000;
  record.count = 11;
  record.protocol = 17;
  EXPECT_EQ(to_string(record), "8000-8010/udp");
  record.count = 1;
  record.protocol = 132;
  EXPECT_EQ(to_string(record), "8000/sctp");
}

}  // namespace
}  // namespace netctl::engine
