#include "plugins/engine/plan.hpp"

#include <gmock/gmock.h>

#include "plugins/engine/identity.hpp"
#include "tests/unit/cni/support.hpp"
#include "tests/unit/engine/sample.hpp"

namespace netctl::engine {
namespace {

using cni::test::error_of;
using sample::address;
using sample::lease;
using sample::lease_v4;
using sample::lease_v6;
using sample::port;
using sample::prefix;
using sample::request;
using sample::texts;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

TEST(Plan, IsTheSameEachTime) {
  const auto leases = {lease_v4(), lease_v6()};
  const Plan one = make_plan(request(), leases, {port(8080, 80)});
  const Plan other = make_plan(request(), leases, {port(8080, 80)});
  EXPECT_EQ(to_json(one), to_json(other));
}

TEST(Plan, GivesTheBridgeTheGatewaysOfALeaseOnlyWhenItIsTheGateway) {
  AttachmentRequest wanted = request();
  EXPECT_THAT(texts(make_plan(wanted, {lease_v4(), lease_v6()}, {}).network.gateways),
              ElementsAre("10.1.0.1/24", "fd00:1::1/64"));
  EXPECT_THAT(
      make_plan(wanted, {lease("10.1.0.5/24", "10.1.0.1"), lease("192.0.2.7/31", "")}, {}).network.gateways,
      ElementsAre(prefix("10.1.0.1/24")));
  wanted.network.is_gateway = false;
  EXPECT_THAT(make_plan(wanted, {lease_v4(), lease_v6()}, {}).network.gateways, IsEmpty());
}

TEST(Plan, SwitchesForwardingOnForTheFamiliesOfAGatewayAlone) {
  const Sysctl forward4{"ipv4/ip_forward", "1"};
  const Sysctl forward6{"ipv6/conf/all/forwarding", "1"};
  AttachmentRequest wanted = request();
  const auto only4 = make_plan(wanted, {lease_v4()}, {}).network.host_sysctls;
  EXPECT_THAT(only4, Contains(forward4));
  EXPECT_THAT(only4, Not(Contains(forward6)));
  const auto only6 = make_plan(wanted, {lease_v6()}, {}).network.host_sysctls;
  EXPECT_THAT(only6, Contains(forward6));
  EXPECT_THAT(only6, Not(Contains(forward4)));
  wanted.network.is_gateway = false;
  wanted.endpoint.default_gateway = false;
  const auto none = make_plan(wanted, {lease_v4(), lease_v6()}, {}).network.host_sysctls;
  EXPECT_THAT(none, Not(Contains(forward4)));
  EXPECT_THAT(none, Not(Contains(forward6)));
}

TEST(Plan, LetsLocalhostReachPublishedPortsUnlessToldOtherwise) {
  const Sysctl localnet{"ipv4/conf/br-blue/route_localnet", "1"};
  AttachmentRequest wanted = request();
  EXPECT_THAT(make_plan(wanted, {lease_v4()}, {port(80, 80)}).network.host_sysctls, Contains(localnet));
  EXPECT_THAT(make_plan(wanted, {lease_v4()}, {}).network.host_sysctls, Not(Contains(localnet)));
  wanted.network.localhost_publish = false;
  EXPECT_THAT(make_plan(wanted, {lease_v4()}, {port(80, 80)}).network.host_sysctls, Not(Contains(localnet)));
}

TEST(Plan, RemembersPoolsAndSubnetsOfTheNetwork) {
  const NetworkPlan network = make_plan(request(), {lease_v4(), lease("192.0.2.7/28", "", "")}, {}).network;
  EXPECT_THAT(network.pools, ElementsAre("p1"));  // the other one is of somebody else's IPAM
  EXPECT_THAT(texts(network.subnets), ElementsAre("10.1.0.0/24", "192.0.2.0/28"));
}

TEST(Plan, MasqueradesTheSubnetsOnlyWhenAsked) {
  AttachmentRequest wanted = request();
  EXPECT_THAT(texts(make_plan(wanted, {lease_v4(), lease_v6()}, {}).network.policy.masquerade),
              ElementsAre("10.1.0.0/24", "fd00:1::/64"));
  wanted.network.masquerade = false;
  EXPECT_TRUE(make_plan(wanted, {lease_v4(), lease_v6()}, {}).network.policy.is_empty());
}

TEST(Plan, AddsOneDefaultRouteAFamily) {
  const Plan plan = make_plan(request(), {lease_v4(), lease_v6()}, {});
  ASSERT_EQ(plan.routes.size(), 2U);
  EXPECT_EQ(plan.routes[0].destination, prefix("0.0.0.0/0"));
  EXPECT_EQ(plan.routes[0].gateway, address("10.1.0.1"));
  EXPECT_EQ(plan.routes[1].destination, prefix("::/0"));
  EXPECT_EQ(plan.routes[1].gateway, address("fd00:1::1"));
}

TEST(Plan, KeepsADefaultRouteOfTheConfiguration) {
  AttachmentRequest wanted = request();
  cni::ResultRoute given;
  given.destination = prefix("0.0.0.0/0");
  given.gateway = address("10.1.0.254");
  wanted.addressing.routes = {given};
  EXPECT_THAT(make_plan(wanted, {lease_v4()}, {}).routes, ElementsAre(given));
}

TEST(Plan, FillsGatewaysInForTheKernelAlone) {
  AttachmentRequest wanted = request();
  wanted.endpoint.default_gateway = false;
  cni::ResultRoute bare;
  bare.destination = prefix("fd00:2::/64");
  bare.mtu_bytes = 1300;
  bare.advertised_mss_bytes = 1200;
  bare.priority = 50;
  bare.table = 100;
  bare.scope = 0;
  wanted.addressing.routes = {bare};
  const Plan plan = make_plan(wanted, {lease_v4(), lease_v6()}, {});
  EXPECT_THAT(plan.routes, ElementsAre(bare));
  netlink::Route expected;
  expected.destination = prefix("fd00:2::/64");
  expected.gateway = address("fd00:1::1");
  expected.mtu_bytes = 1300;
  expected.advertised_mss_bytes = 1200;
  expected.priority = 50;
  expected.table = 100;
  expected.scope = 0;
  EXPECT_THAT(plan.kernel_routes, ElementsAre(expected));
}

TEST(Plan, RefusesADefaultRouteWithoutAGateway) {
  const Error error = error_of([] { (void)make_plan(request(), {lease("10.1.0.4/31", "")}, {}); });
  EXPECT_EQ(error.code(), ErrorCode::kInvalidConfig);
  EXPECT_THAT(error.message(), HasSubstr("isDefaultGateway"));
  EXPECT_THAT(error.message(), HasSubstr("blue"));
}

TEST(Plan, MakesTheContainersMacOfItsAddressUnlessOneIsWanted) {
  AttachmentRequest wanted = request();
  EXPECT_EQ(make_plan(wanted, {lease_v4()}, {}).link->container_mac,
            container_mac(wanted.key, {prefix("10.1.0.5/24")}));
  wanted.endpoint.mac = MacAddress::parse("02:00:00:00:00:07");
  EXPECT_EQ(make_plan(wanted, {lease_v4()}, {}).link->container_mac.to_string(), "02:00:00:00:00:07");
}

TEST(Plan, SwitchesIpv6OffInTheContainerOnlyWithoutAnIpv6Address) {
  const Sysctl off{"ipv6/conf/eth0/disable_ipv6", "1"};
  AttachmentRequest wanted = request();
  EXPECT_THAT(make_plan(wanted, {lease_v4()}, {}).container_sysctls, Not(Contains(off)));
  wanted.endpoint.disable_ipv6 = true;
  EXPECT_THAT(make_plan(wanted, {lease_v4()}, {}).container_sysctls, Contains(off));
  EXPECT_THAT(make_plan(wanted, {lease_v4(), lease_v6()}, {}).container_sysctls, Not(Contains(off)));
}

TEST(Plan, TakesDnsOfTheEndpointBeforeThatOfTheAddresses) {
  AttachmentRequest wanted = request();
  wanted.addressing.dns.nameservers = {"10.1.0.53"};
  EXPECT_THAT(make_plan(wanted, {lease_v4()}, {}).dns.nameservers, ElementsAre("10.1.0.53"));
  wanted.endpoint.dns.search = {"example.org"};
  EXPECT_EQ(make_plan(wanted, {lease_v4()}, {}).dns, wanted.endpoint.dns);
}

}  // namespace
}  // namespace netctl::engine
