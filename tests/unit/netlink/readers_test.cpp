// What is read from messages that the kernel sent, and that nothing is read from what is left of them when they are broken.

#include <sys/socket.h>
#include <linux/rtnetlink.h>

#include <gmock/gmock.h>

#include "netlink/link.hpp"
#include "netlink/route.hpp"
#include "netlink/wire.hpp"
#include "tests/unit/netlink/hex.hpp"
#include "tests/unit/netlink/recorded.hpp"

namespace netctl::netlink {
namespace {

Reply reply_of(std::string_view hex) {
  Reply reply;
  for_each_message(from_hex(hex), [&reply](const nlmsghdr& header, Bytes payload) {
    reply = {header.nlmsg_type, header.nlmsg_flags, {payload.begin(), payload.end()}};
  });
  return reply;
}

TEST(Readers, ReadABridgePort) {
  const Link link = parse_link(reply_of(recorded::kPortReply));
  EXPECT_EQ(link.index, 3U);
  EXPECT_EQ(link.name, "nc1");
  EXPECT_EQ(link.kind, "veth");
  EXPECT_EQ(link.alias, "netctl:1:net:key:10.1.0.2/16");
  EXPECT_EQ(link.mac, MacAddress::parse("02:00:00:00:00:01"));
  EXPECT_EQ(link.mtu_bytes, 1500U);
  EXPECT_EQ(link.master_index, 2U);
  EXPECT_EQ(link.peer_index, 2U);
  EXPECT_EQ(link.group, 77U);
  EXPECT_TRUE(link.up);
  EXPECT_FALSE(link.promiscuous);
  EXPECT_EQ(link.hairpin, true);
  EXPECT_EQ(link.isolated, true);
  EXPECT_EQ(link.locked, true);
  EXPECT_EQ(link.learning, false);
}

TEST(Readers, ReadAConnectedRoute) {
  const std::vector<Route> routes = parse_route(reply_of(recorded::kRouteReply));
  Route expected;
  expected.destination = *IpPrefix::parse("10.1.0.0/16");
  expected.link_index = 2;
  EXPECT_THAT(routes, ::testing::ElementsAre(expected));
}

TEST(Readers, ReadEveryHopOfAMultipathRoute) {
  Request message(RTM_NEWROUTE, 0, "");
  auto& header = message.header<rtmsg>();
  header.rtm_family = AF_INET;
  header.rtm_dst_len = 0;
  // Two hops as RTA_MULTIPATH (9) has them: rtnexthop, then RTA_GATEWAY (5).
  const auto hops = from_hex(
      "1000000002000000080005000a000001"
      "1000040003000000080005000a000002");
  message.put(Attr<RTA_MULTIPATH, Bytes>{}, hops);
  const Bytes payload = message.bytes().subspan(sizeof(nlmsghdr));
  const auto routes = parse_route({RTM_NEWROUTE, 0, {payload.begin(), payload.end()}});
  ASSERT_EQ(routes.size(), 2U);
  EXPECT_EQ(routes[0].gateway, IpAddress::parse("10.0.0.1"));
  EXPECT_EQ(routes[0].link_index, 2U);
  EXPECT_EQ(routes[0].scope, std::nullopt);
  EXPECT_EQ(routes[1].gateway, IpAddress::parse("10.0.0.2"));
  EXPECT_EQ(routes[1].link_index, 3U);
  EXPECT_TRUE(routes[1].on_link);
}

TEST(Readers, RefuseAPrefixLongerThanItsAddress) {
  Reply reply = reply_of(recorded::kRouteReply);
  reply.payload[1] = 33;
  EXPECT_THROW((void)parse_route(reply), Error);
}

/// Runs `read` on every beginning of the message, and on the message with each byte set to values that lengths fear.
/// Whatever comes out, it is a value or an Error; the sanitizers see to the rest.
template <class Read>
void survive_damage(const Reply& whole, Read&& read) {
  const auto attempt = [&read](const Reply& reply) {
    try {
      read(reply);
    } catch (const Error&) {
    }
  };
  for (std::size_t size = 0; size < whole.payload.size(); ++size) {
    Reply part = whole;
    part.payload.resize(size);
    part.payload.shrink_to_fit();
    attempt(part);
  }
  for (std::size_t at = 0; at < whole.payload.size(); ++at) {
    for (const int value : {0, 1, 3, 127, 128, 255}) {
      Reply damaged = whole;
      damaged.payload[at] = static_cast<std::uint8_t>(value);
      attempt(damaged);
    }
  }
}

TEST(Readers, SurviveDamagedLinks) {
  survive_damage(reply_of(recorded::kPortReply), [](const Reply& reply) { (void)parse_link(reply); });
}

TEST(Readers, SurviveDamagedRoutes) {
  survive_damage(reply_of(recorded::kRouteReply), [](const Reply& reply) {
    for (const Route& route : parse_route(reply)) (void)route.destination.network();
  });
}

TEST(Readers, NeverTakeHalfALinkForAWhole) {
  const Reply whole = reply_of(recorded::kPortReply);
  std::size_t readable = 0;
  for (std::size_t size = 0; size < whole.payload.size(); ++size) {
    Reply part = whole;
    part.payload.resize(size);
    try {
      (void)parse_link(part);
      ++readable;
    } catch (const Error&) {
    }
  }
  // Only a cut exactly between two attributes (or in the padding after one) cannot be told from a shorter message.
  EXPECT_LT(readable, 3 * parse_attributes(whole.attributes<ifinfomsg>()).size());
}

}  // namespace
}  // namespace netctl::netlink
