#include "netlink/route.hpp"

#include <linux/rtnetlink.h>

#include <gmock/gmock.h>

#include "tests/kernel/netlink/bridge_test.hpp"

namespace netctl::netlink {
namespace {

using ::testing::Contains;
using testing::ip_json;
using ::testing::IsEmpty;
using ::testing::Not;
using testing::output_of;

class RouteTest : public BridgeTest {
 protected:
  void SetUp() override {
    BridgeTest::SetUp();
    if (HasFatalFailure()) return;
    add("10.1.0.2/16");
    add("fd00::2/64");
  }

  [[nodiscard]] Route to(const char* destination, const char* gateway = nullptr) const {
    Route made;
    made.destination = *IpPrefix::parse(destination);
    if (gateway != nullptr) made.gateway = IpAddress::parse(gateway);
    made.link_index = index_;
    return made;
  }

  static nlohmann::json shown(const std::string& family, const std::string& destination,
                              const std::string& table = "main") {
    const auto routes = ip_json({family, "-d", "route", "show", destination, "table", table});
    return routes.size() == 1 ? routes.at(0) : nlohmann::json(routes);
  }
};

TEST_F(RouteTest, ThroughAGatewayIsAdded) {
  route().transact(add_route(to("0.0.0.0/0", "10.1.0.1")));
  const auto v4 = shown("-4", "default");
  EXPECT_EQ(v4.at("gateway"), "10.1.0.1");
  EXPECT_EQ(v4.at("dev"), "br0");
  EXPECT_EQ(v4.at("protocol"), std::to_string(kRouteProtocol));
  EXPECT_EQ(v4.at("scope"), "global");
  route().transact(add_route(to("::/0", "fd00::1")));
  EXPECT_EQ(shown("-6", "default").at("gateway"), "fd00::1");
}

TEST_F(RouteTest, OfALinkHasItsScope) {
  route().transact(add_route(to("10.9.0.0/16")));
  EXPECT_EQ(shown("-4", "10.9.0.0/16").at("scope"), "link");
  route().transact(add_route(to("fd09::/64")));
  EXPECT_EQ(shown("-6", "fd09::/64").at("dev"), "br0");
}

TEST_F(RouteTest, TakesEveryAttribute) {
  Route full = to("10.9.3.4/16", "10.77.0.1");
  full.on_link = true;
  full.priority = 77;
  full.mtu_bytes = 1300;
  full.advertised_mss_bytes = 1200;
  full.table = 70000;
  full.scope = RT_SCOPE_SITE;
  route().transact(add_route(full));
  const auto made = shown("-4", "10.9.0.0/16", "70000");
  EXPECT_EQ(made.at("metric"), 77);
  EXPECT_EQ(made.at("metrics").at(0).at("mtu"), 1300);
  EXPECT_EQ(made.at("metrics").at(0).at("advmss"), 1200);
  EXPECT_EQ(made.at("scope"), "site");
  EXPECT_THAT(made.at("flags"), Contains("onlink"));
  EXPECT_EQ(route().transact(delete_route(full)), 0);
  EXPECT_THAT(ip_json({"route", "show", "table", "70000"}), IsEmpty());
}

TEST_F(RouteTest, IsToleratedTwiceAndNotDoubled) {
  for (const Route& made : {to("10.9.0.0/16", "10.1.0.1"), to("fd09::/64", "fd00::1")}) {
    EXPECT_EQ(route().transact(add_route(made)), 0);
    EXPECT_EQ(route().transact(add_route(made)), EEXIST);
  }
  EXPECT_EQ(shown("-4", "10.9.0.0/16").at("gateway"), "10.1.0.1");
  EXPECT_EQ(shown("-6", "fd09::/64").at("gateway"), "fd00::1");
}

TEST_F(RouteTest, ReadsAsItWasWritten) {
  Route v4 = to("10.9.0.0/16", "10.1.0.1");
  v4.mtu_bytes = 1300;
  v4.priority = 5;
  Route on_link = to("10.8.0.0/16", "10.77.0.1");
  on_link.on_link = true;
  for (const Route& made : {v4, on_link, to("10.7.0.0/16"), to("0.0.0.0/0", "10.1.0.1")}) {
    route().transact(add_route(made));
    EXPECT_THAT(list_routes(route(), Family::kIpv4), Contains(made)) << made.destination.to_string();
  }
  Route v6 = to("fd09::/64", "fd00::1");
  v6.advertised_mss_bytes = 1200;
  for (const Route& made : {v6, to("fd08::/64"), to("::/0", "fd00::1")}) {
    route().transact(add_route(made));
    EXPECT_THAT(list_routes(route(), Family::kIpv6), Contains(made)) << made.destination.to_string();
  }
}

TEST_F(RouteTest, OfOtherTablesAndTypesIsNotListed) {
  Route elsewhere = to("10.9.0.0/16", "10.1.0.1");
  elsewhere.table = 100;
  route().transact(add_route(elsewhere));
  output_of({"ip", "route", "add", "blackhole", "10.10.0.0/16"});
  std::vector<IpPrefix> destinations;
  for (const Route& each : list_routes(route(), Family::kIpv4)) destinations.push_back(each.destination);
  EXPECT_THAT(destinations, ::testing::ElementsAre(*IpPrefix::parse("10.1.0.0/16")));
}

TEST_F(RouteTest, OfSeveralHopsIsSeveralRoutes) {
  output_of({"ip", "route", "add", "10.9.0.0/16", "nexthop", "via", "10.1.0.3", "dev", "br0", "nexthop",
             "via", "10.1.0.4", "dev", "br0"});
  const auto routes = list_routes(route(), Family::kIpv4);
  EXPECT_THAT(routes, Contains(to("10.9.0.0/16", "10.1.0.3")));
  EXPECT_THAT(routes, Contains(to("10.9.0.0/16", "10.1.0.4")));
}

TEST_F(RouteTest, IsDeletedAndToleratedWhenGone) {
  for (const Route& made : {to("10.9.0.0/16", "10.1.0.1"), to("10.8.0.0/16"), to("::/0", "fd00::1")}) {
    route().transact(add_route(made));
    EXPECT_EQ(route().transact(delete_route(made)), 0);
    EXPECT_EQ(route().transact(delete_route(made)), ESRCH);
    EXPECT_THAT(list_routes(route(), made.destination.address.family()), Not(Contains(made)));
  }
}

TEST_F(RouteTest, OfSomebodyElseIsNotDeleted) {
  output_of({"ip", "route", "add", "10.9.0.0/16", "via", "10.1.0.1", "dev", "br0"});
  EXPECT_EQ(route().transact(delete_route(to("10.9.0.0/16", "10.1.0.1"))), ESRCH);
  EXPECT_EQ(shown("-4", "10.9.0.0/16").at("gateway"), "10.1.0.1");
}

TEST_F(RouteTest, ListsNothingInANamespaceThatNeverHadOne) {
  const Netns container = make_container();
  Socket inside = testing::open_socket_in(container, Bus::kRoute);
  EXPECT_THAT(list_routes(inside, Family::kIpv4), IsEmpty());
  EXPECT_THAT(list_routes(inside, Family::kIpv6), IsEmpty());
}

TEST_F(RouteTest, LeadsToItsLink) {
  route().transact(add_route(to("0.0.0.0/0", "10.1.0.1")));
  EXPECT_EQ(find_outgoing_link(route(), *IpAddress::parse("192.0.2.1")), index_);
  EXPECT_EQ(find_outgoing_link(route(), *IpAddress::parse("10.1.0.9")), index_);
  EXPECT_EQ(find_outgoing_link(route(), *IpAddress::parse("fd00::9")), index_);
}

TEST_F(RouteTest, LeadsNowhereWhereThereIsNone) {
  EXPECT_EQ(find_outgoing_link(route(), *IpAddress::parse("192.0.2.1")), std::nullopt);
  EXPECT_EQ(find_outgoing_link(route(), *IpAddress::parse("2001:db8::1")), std::nullopt);
  for (const char* type : {"unreachable", "blackhole", "prohibit"}) {
    output_of({"ip", "route", "add", type, "192.0.2.0/24"});
    output_of({"ip", "-6", "route", "add", type, "2001:db8::/64"});
    EXPECT_EQ(find_outgoing_link(route(), *IpAddress::parse("192.0.2.1")), std::nullopt) << type;
    EXPECT_EQ(find_outgoing_link(route(), *IpAddress::parse("2001:db8::1")), std::nullopt) << type;
    output_of({"ip", "route", "del", type, "192.0.2.0/24"});
    output_of({"ip", "-6", "route", "del", type, "2001:db8::/64"});
  }
}

}  // namespace
}  // namespace netctl::netlink
