#include "netlink/link.hpp"

#include <gmock/gmock.h>

#include "netlink/neighbour.hpp"
#include "tests/support/netns_test.hpp"

namespace netctl::netlink {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using testing::ip_json;
using ::testing::Not;
using testing::open_socket_in;

class LinkTest : public testing::NetnsTest {
 protected:
  void SetUp() override {
    NetnsTest::SetUp();
    if (!HasFatalFailure()) container_ = make_container();
  }

  /// A bridge br0, and a veth pair nc1 - eth0 between it and the container.
  void make_pair(std::uint32_t mtu_bytes = 0) {
    BridgeSpec bridge;
    bridge.name = "br0";
    bridge.mac = *MacAddress::parse("02:00:00:00:00:0a");
    bridge.mtu_bytes = mtu_bytes;
    route().transact(create_bridge(bridge));
    bridge_index_ = find_link(route(), "br0")->index;
    VethSpec veth = spec();
    veth.mtu_bytes = mtu_bytes;
    route().transact(create_veth(veth));
    port_index_ = find_link(route(), "nc1")->index;
  }

  [[nodiscard]] VethSpec spec() const {
    VethSpec veth;
    veth.host_name = "nc1";
    veth.host_mac = *MacAddress::parse("02:00:00:00:00:01");
    veth.master_index = bridge_index_;
    veth.container_name = "eth0";
    veth.container_mac = *MacAddress::parse("02:00:00:00:00:02");
    veth.container_netns_fd = container_->fd();
    return veth;
  }

  /// What iproute2 says of one link of the calling thread's namespace.
  static nlohmann::json shown(const std::string& name) {
    const auto links = ip_json({"-d", "link", "show", "dev", name});
    return links.empty() ? nlohmann::json() : links.at(0);
  }

  [[nodiscard]] const Netns& container() const { return *container_; }

  std::uint32_t bridge_index_ = 0;
  std::uint32_t port_index_ = 0;

 private:
  std::optional<Netns> container_;  // its end of the pair lives as long as this does
};

TEST_F(LinkTest, MakesABridge) {
  make_pair(1400);
  const auto bridge = shown("br0");
  EXPECT_EQ(bridge.at("linkinfo").at("info_kind"), "bridge");
  EXPECT_EQ(bridge.at("address"), "02:00:00:00:00:0a");
  EXPECT_EQ(bridge.at("mtu"), 1400);
  EXPECT_THAT(bridge.at("flags"), Contains("UP"));
}

TEST_F(LinkTest, KeepsTheBridgesAddressWhenPortsComeAndGo) {
  make_pair();
  route().transact(delete_link(port_index_));
  EXPECT_EQ(shown("br0").at("address"), "02:00:00:00:00:0a");
}

TEST_F(LinkTest, MakesBothEndsOfAVethPairInOneMessage) {
  make_pair(1400);
  const auto port = shown("nc1");
  EXPECT_EQ(port.at("linkinfo").at("info_kind"), "veth");
  EXPECT_EQ(port.at("address"), "02:00:00:00:00:01");
  EXPECT_EQ(port.at("mtu"), 1400);
  EXPECT_EQ(port.at("master"), "br0");
  EXPECT_THAT(port.at("flags"), Contains("UP"));
  container().run([] {
    const auto inside = shown("eth0");
    EXPECT_EQ(inside.at("address"), "02:00:00:00:00:02");
    EXPECT_EQ(inside.at("mtu"), 1400);
    EXPECT_THAT(inside.at("flags"), Not(Contains("UP")));
  });
}

TEST_F(LinkTest, RefusesANameThatIsTaken) {
  make_pair();
  VethSpec other_host_name = spec();
  other_host_name.host_name = "nc2";
  for (const VethSpec& veth : {spec(), other_host_name}) {
    try {
      route().transact(create_veth(veth));
      FAIL() << "a name was given away twice";
    } catch (const Error& error) {
      EXPECT_EQ(error.sys_errno(), EEXIST);
      EXPECT_THAT(error.message(), HasSubstr("could not create the veth pair " + veth.host_name + " - eth0"));
    }
  }
  EXPECT_EQ(find_link(route(), "nc2"), std::nullopt) << "half a pair was left behind";
}

TEST_F(LinkTest, RefusesWhatTheKernelRefuses) {
  VethSpec veth = spec();
  veth.mtu_bytes = 70000;
  EXPECT_THROW(route().transact(create_veth(veth)), Error);
  veth = spec();
  veth.master_index = 1;  // lo is no bridge
  EXPECT_THROW(route().transact(create_veth(veth)), Error);
  veth = spec();
  veth.container_netns_fd = -1;
  EXPECT_THROW(route().transact(create_veth(veth)), Error);
  EXPECT_EQ(list_links(route()).size(), 1U) << "a refused pair left something behind";
}

TEST_F(LinkTest, ReadsALinkAsItIs) {
  make_pair();
  route().transact(set_alias(port_index_, "netctl:1:net:key:10.1.0.2/16"));
  const auto port = find_link(route(), "nc1");
  ASSERT_TRUE(port);
  EXPECT_EQ(port->index, port_index_);
  EXPECT_EQ(port->kind, "veth");
  EXPECT_EQ(port->alias, "netctl:1:net:key:10.1.0.2/16");
  EXPECT_EQ(port->mac, MacAddress::parse("02:00:00:00:00:01"));
  EXPECT_EQ(port->mtu_bytes, 1500U);
  EXPECT_EQ(port->master_index, bridge_index_);
  EXPECT_TRUE(port->up);
  EXPECT_EQ(port->hairpin, false);
  EXPECT_EQ(port->isolated, false);
  EXPECT_EQ(port->locked, false);
  EXPECT_EQ(port->learning, true);
  Socket inside = open_socket_in(container(), Bus::kRoute);
  const auto peer = find_link(inside, "eth0");
  ASSERT_TRUE(peer);
  EXPECT_EQ(port->peer_index, peer->index);
  EXPECT_EQ(peer->peer_index, port->index);
  EXPECT_FALSE(peer->up);
  EXPECT_EQ(peer->hairpin, std::nullopt) << "no bridge port";
  EXPECT_EQ(find_link(route(), 1)->kind, "") << "lo has no kind";
}

TEST_F(LinkTest, TakesAliasesUpToTheKernelsLimit) {
  make_pair();
  const std::string longest(255, 'a');
  route().transact(set_alias(port_index_, longest));
  EXPECT_EQ(shown("nc1").at("ifalias"), longest);
  EXPECT_EQ(find_link(route(), "nc1")->alias, longest);
  EXPECT_THROW(route().transact(set_alias(port_index_, longest + "a")), Error);
  route().transact(set_alias(port_index_, ""));
  EXPECT_EQ(find_link(route(), "nc1")->alias, "");
}

TEST_F(LinkTest, SetsPortFlagsAndAliasTogether) {
  make_pair();
  BridgePortSpec port;
  port.index = port_index_;
  port.alias = "netctl:1:x";
  port.hairpin = true;
  route().transact(set_bridge_port(port));
  EXPECT_EQ(shown("nc1").at("ifalias"), "netctl:1:x");
  auto flags = shown("nc1").at("linkinfo").at("info_slave_data");
  EXPECT_EQ(flags.at("hairpin"), true);
  EXPECT_EQ(flags.at("isolated"), false);
  EXPECT_EQ(flags.at("locked"), false);
  EXPECT_EQ(flags.at("learning"), true);

  port.alias.clear();
  port.hairpin = false;
  port.isolated = port.locked = true;
  route().transact(set_bridge_port(port));
  EXPECT_EQ(shown("nc1").at("ifalias"), "netctl:1:x") << "an empty alias leaves the old one";
  flags = shown("nc1").at("linkinfo").at("info_slave_data");
  EXPECT_EQ(flags.at("hairpin"), false);
  EXPECT_EQ(flags.at("isolated"), true);
  EXPECT_EQ(flags.at("locked"), true);
  EXPECT_EQ(flags.at("learning"), false);
  const auto read = find_link(route(), port_index_);
  EXPECT_EQ(read->isolated, true);
  EXPECT_EQ(read->locked, true);
  EXPECT_EQ(read->learning, false);
}

TEST_F(LinkTest, SetsPortFlagsOfPortsOnly) {
  BridgePortSpec port;
  port.index = 1;
  EXPECT_THROW(route().transact(set_bridge_port(port)), Error);
  port.index = 4711;
  EXPECT_THROW(route().transact(set_bridge_port(port)), Error);
  EXPECT_EQ(list_links(route()).size(), 1U) << "RTM_NEWLINK made a link";
}

TEST_F(LinkTest, ChangesOneThingAtATime) {
  make_pair();
  route().transact(set_down(port_index_));
  EXPECT_THAT(shown("nc1").at("flags"), Not(Contains("UP")));
  route().transact(set_up(port_index_));
  EXPECT_THAT(shown("nc1").at("flags"), Contains("UP"));
  route().transact(set_promiscuous(bridge_index_, true));
  EXPECT_THAT(shown("br0").at("flags"), Contains("PROMISC"));
  EXPECT_TRUE(find_link(route(), "br0")->promiscuous);
  EXPECT_THAT(shown("br0").at("flags"), Contains("UP")) << "one flag must not clear another";
  route().transact(set_promiscuous(bridge_index_, false));
  EXPECT_THAT(shown("br0").at("flags"), Not(Contains("PROMISC")));
  route().transact(set_mtu(port_index_, 1300));
  EXPECT_EQ(shown("nc1").at("mtu"), 1300);
  route().transact(set_mac(port_index_, *MacAddress::parse("02:00:00:00:00:77")));
  EXPECT_EQ(shown("nc1").at("address"), "02:00:00:00:00:77");
  route().transact(set_master(port_index_, 0));
  EXPECT_FALSE(shown("nc1").contains("master"));
  EXPECT_EQ(find_link(route(), "nc1")->master_index, 0U);
  route().transact(set_master(port_index_, bridge_index_));
  EXPECT_EQ(shown("nc1").at("master"), "br0");
}

TEST_F(LinkTest, DeletesBothEndsAndToleratesThatTheyAreGone) {
  make_pair();
  EXPECT_EQ(route().transact(delete_link(port_index_)), 0);
  EXPECT_EQ(find_link(route(), "nc1"), std::nullopt);
  Socket inside = open_socket_in(container(), Bus::kRoute);
  EXPECT_EQ(find_link(inside, "eth0"), std::nullopt);
  EXPECT_EQ(route().transact(delete_link(port_index_)), ENODEV);
}

TEST_F(LinkTest, DeletesAGroupAndNothingElse) {
  make_pair();
  for (int i = 2; i < 6; ++i) {
    VethSpec veth = spec();
    veth.host_name = "nc" + std::to_string(i);
    veth.container_name = "eth" + std::to_string(i);
    route().transact(create_veth(veth));
    route().transact(set_group(find_link(route(), veth.host_name)->index, 0x7abcdef0));
  }
  EXPECT_EQ(find_link(route(), "nc2")->group, 0x7abcdef0U);
  EXPECT_EQ(route().transact(delete_group(0x7abcdef0)), 0);
  EXPECT_EQ(list_links(route()).size(), 3U) << "lo, br0 and nc1 stay";
  EXPECT_TRUE(find_link(route(), "nc1"));
  EXPECT_EQ(route().transact(delete_group(0x7abcdef0)), ENODEV);
}

TEST_F(LinkTest, ListsWhatIprouteLists) {
  make_pair();
  std::vector<std::string> names;
  for (const Link& link : list_links(route())) names.push_back(link.name);
  std::vector<std::string> expected;
  for (const auto& link : ip_json({"link", "show"})) expected.push_back(link.at("ifname"));
  EXPECT_EQ(names, expected);
}

}  // namespace
}  // namespace netctl::netlink
