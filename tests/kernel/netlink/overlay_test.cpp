#include <gmock/gmock.h>

#include "netlink/address.hpp"
#include "netlink/link.hpp"
#include "netlink/neighbour.hpp"
#include "netlink/nexthop.hpp"
#include "netlink/vxlan.hpp"
#include "tests/support/netns_test.hpp"

namespace netctl::netlink {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

IpAddress ip(const std::string& text) { return *IpAddress::parse(text); }
IpPrefix prefix(const std::string& text) { return *IpPrefix::parse(text); }
MacAddress mac(unsigned number) { return MacAddress::from_hash(number); }

/// A host with an underlay link of 1500 bytes and a VTEP on it, up.
class OverlayTest : public testing::NetnsTest {
 protected:
  void SetUp() override {
    NetnsTest::SetUp();
    if (HasFatalFailure()) return;
    testing::output_of({"ip", "link", "add", "u0", "up", "type", "veth", "peer", "name", "u1"});
    testing::output_of({"ip", "addr", "add", "192.0.2.1/24", "dev", "u0"});
    route().transact(create_vxlan(spec()));
    index_ = find_vxlan(route(), "vx0")->link.index;
    route().transact(set_up(index_));
  }

  VxlanSpec spec() {
    VxlanSpec vtep;
    vtep.name = "vx0";
    vtep.mac = mac(1);
    vtep.vni = 42;
    vtep.local = ip("192.0.2.1");
    vtep.underlay_index = find_link(route(), "u0")->index;
    return vtep;
  }

  std::uint32_t index_ = 0;
};

TEST_F(OverlayTest, VtepReadsAsItWasMade) {
  const auto vtep = find_vxlan(route(), "vx0");
  ASSERT_TRUE(vtep);
  EXPECT_EQ(vtep->vni, 42U);
  EXPECT_EQ(vtep->port, 4789);
  EXPECT_EQ(vtep->local, ip("192.0.2.1"));
  EXPECT_EQ(vtep->underlay_index, spec().underlay_index);
  EXPECT_FALSE(vtep->learning);
  EXPECT_FALSE(vtep->proxy);
  EXPECT_EQ(vtep->link.mac, mac(1));
  const nlohmann::json data = testing::ip_json({"-d", "link", "show", "vx0"})[0]["linkinfo"]["info_data"];
  EXPECT_EQ(data["id"], 42);
  EXPECT_EQ(data["port"], 4789);
  EXPECT_EQ(data["learning"], false);
}

TEST_F(OverlayTest, VtepIsFoundByWhatItHolds) {
  EXPECT_EQ(find_vxlan(route(), 42, 4789)->link.name, "vx0");
  EXPECT_FALSE(find_vxlan(route(), 42, 8472));
  EXPECT_FALSE(find_vxlan(route(), 43, 4789));
  EXPECT_FALSE(find_vxlan(route(), "u0")) << "a veth is no VXLAN device";
}

TEST_F(OverlayTest, SecondVtepWithTheSameVniAndPortIsRefused) {
  VxlanSpec second = spec();
  second.name = "vx1";
  try {
    route().transact(create_vxlan(second));
    FAIL() << "the kernel took it";
  } catch (const Error& error) {
    EXPECT_EQ(error.sys_errno(), EEXIST);
  }
}

TEST_F(OverlayTest, VtepEntryIsReplacedAndDeletedExactly) {
  route().transact(put_vtep_entry(index_, {mac(2), ip("192.0.2.2")}));
  route().transact(put_vtep_entry(index_, {mac(2), ip("192.0.2.3")}));
  EXPECT_THAT(list_vtep_entries(route(), index_), ElementsAre(VtepEntry{mac(2), ip("192.0.2.3")}));
  route().transact(delete_vtep_entry(index_, {mac(2), ip("192.0.2.2")}));
  EXPECT_THAT(list_vtep_entries(route(), index_), ElementsAre(VtepEntry{mac(2), ip("192.0.2.3")}));
  EXPECT_EQ(route().transact(delete_vtep_entry(index_, {mac(2), ip("192.0.2.3")})), 0);
  EXPECT_THAT(list_vtep_entries(route(), index_), IsEmpty());
}

TEST_F(OverlayTest, ListsEveryVtepThatUnknownFramesGoTo) {
  // The kernel keeps several VTEPs for the addresses of many only: all zeros stands for "to everybody".
  for (const char* vtep : {"192.0.2.2", "192.0.2.9"}) {
    testing::output_of({"bridge", "fdb", "append", "00:00:00:00:00:00", "dev", "vx0", "dst", vtep});
  }
  EXPECT_THAT(list_vtep_entries(route(), index_),
              UnorderedElementsAre(VtepEntry{MacAddress{}, ip("192.0.2.2")},
                                   VtepEntry{MacAddress{}, ip("192.0.2.9")}));
  EXPECT_EQ(route().transact(delete_vtep_entry(index_, {MacAddress{}, ip("192.0.2.2")})), 0);
  EXPECT_THAT(list_vtep_entries(route(), index_), ElementsAre(VtepEntry{MacAddress{}, ip("192.0.2.9")}));
}

TEST_F(OverlayTest, ListsPermanentNeighboursOfBothFamiliesAndItsLinkOnly) {
  route().transact(put_neighbour(index_, {ip("10.244.2.0"), mac(2)}));
  route().transact(put_neighbour(index_, {ip("fe80::2"), mac(2)}));
  route().transact(put_neighbour(spec().underlay_index, {ip("192.0.2.9"), mac(9)}));
  testing::output_of(
      {"ip", "neigh", "add", "10.244.3.0", "lladdr", "02:00:00:00:00:99", "nud", "stale", "dev", "vx0"});
  EXPECT_THAT(list_permanent_neighbours(route(), index_),
              UnorderedElementsAre(Neighbour{ip("10.244.2.0"), mac(2)}, Neighbour{ip("fe80::2"), mac(2)}));
}

TEST_F(OverlayTest, RoutesOverNexthopsReadAsTheyWereMade) {
  const Nexthop hop4{kFirstNexthopId + 1, ip("10.244.2.0"), index_};
  const Nexthop hop6{kFirstNexthopId + 2, ip("fe80::2"), index_};
  const NexthopRoute way4{prefix("10.244.2.0/24"), hop4.id, 1400};
  const NexthopRoute way6{prefix("fd00:2::/64"), hop6.id, std::nullopt};
  route().transact_all(std::vector<Request>{put_nexthop(hop4), put_nexthop(hop6), put_nexthop_route(way4),
                                            put_nexthop_route(way6)});
  EXPECT_THAT(list_nexthops(route()), UnorderedElementsAre(hop4, hop6));
  EXPECT_THAT(list_nexthop_routes(route()), UnorderedElementsAre(way4, way6));
  EXPECT_EQ(route().transact(delete_nexthop_route(way6)), 0);
  EXPECT_EQ(route().transact(delete_nexthop_route(way6)), ESRCH);
  EXPECT_EQ(route().transact(delete_nexthop(hop4.id)), 0) << "its route goes with it";
  EXPECT_EQ(route().transact(delete_nexthop(hop4.id)), ENOENT);
  EXPECT_THAT(list_nexthop_routes(route()), IsEmpty());
}

TEST_F(OverlayTest, RouteLosesItsMtuWhenItIsPutWithoutOne) {
  const Nexthop hop{kFirstNexthopId + 1, ip("10.244.2.0"), index_};
  route().transact(put_nexthop(hop));
  route().transact(put_nexthop_route({prefix("10.244.2.0/24"), hop.id, 1300}));
  route().transact(put_nexthop_route({prefix("10.244.2.0/24"), hop.id, std::nullopt}));
  EXPECT_THAT(list_nexthop_routes(route()),
              ElementsAre(NexthopRoute{prefix("10.244.2.0/24"), hop.id, std::nullopt}));
  EXPECT_THAT(testing::output_of({"ip", "route", "show"}), ::testing::Not(::testing::HasSubstr("mtu")));
}

TEST_F(OverlayTest, NexthopsAndRoutesOfOthersAreNotListed) {
  testing::output_of({"ip", "nexthop", "add", "id", "7", "via", "10.9.0.1", "dev", "vx0", "onlink"});
  testing::output_of({"ip", "route", "add", "10.9.0.0/24", "nhid", "7", "proto", "110"});
  testing::output_of({"ip", "route", "add", "10.8.0.0/24", "dev", "vx0", "proto", "110"});
  EXPECT_THAT(list_nexthops(route()), IsEmpty());
  EXPECT_THAT(list_nexthop_routes(route()), IsEmpty());
}

TEST_F(OverlayTest, ThousandsOfRequestsAreSentWithFewAcks) {
  constexpr unsigned kMany = 3000;
  std::vector<Request> requests;
  for (unsigned number = 0; number < kMany; ++number) {
    requests.push_back(
        put_neighbour(index_, {IpAddress::from_number(Family::kIpv4, 0x0af40000U + number), mac(number)}));
  }
  route().transact_many(requests);
  EXPECT_EQ(list_permanent_neighbours(route(), index_).size(), kMany);
  EXPECT_EQ(route().transact(set_up(index_)), 0) << "no answer was left for the next request";
}

TEST_F(OverlayTest, OneRefusalAmongThousandsIsReportedAndTheRestIsDone) {
  constexpr unsigned kMany = 2000;
  std::vector<Request> requests;
  for (unsigned number = 0; number < kMany; ++number) {
    const std::uint32_t link = number == 700 ? 4242 : index_;
    requests.push_back(
        put_neighbour(link, {IpAddress::from_number(Family::kIpv4, 0x0af40000U + number), mac(number)}));
  }
  try {
    route().transact_many(requests);
    FAIL() << "nothing was said of the link that is not there";
  } catch (const Error& error) {
    EXPECT_THAT(error.message(), ::testing::HasSubstr("on link 4242"));
    EXPECT_EQ(error.sys_errno(), ENODEV);
  }
  EXPECT_EQ(list_permanent_neighbours(route(), index_).size(), kMany - 1);
}

}  // namespace
}  // namespace netctl::netlink
