#include "netlink/neighbour.hpp"

#include <gmock/gmock.h>

#include "tests/kernel/netlink/bridge_test.hpp"

namespace netctl::netlink {
namespace {

using testing::open_socket_in;
using testing::output_of;
using testing::run_command;

class NeighbourTest : public BridgeTest {
 protected:
  void SetUp() override {
    BridgeTest::SetUp();
    if (HasFatalFailure()) return;
    add("10.1.0.1/16");
  }

  /// A container behind a port of br0, up and with its address.
  Netns attach(int number) {
    Netns container = make_container();
    VethSpec veth;
    veth.host_name = "nc" + std::to_string(number);
    veth.host_mac = MacAddress::from_hash(static_cast<std::uint64_t>(100 + number));
    veth.master_index = index_;
    veth.container_name = "eth0";
    veth.container_mac = mac_of(number);
    veth.container_netns_fd = container.fd();
    route().transact(create_veth(veth));
    Socket inside = open_socket_in(container, Bus::kRoute);
    const std::uint32_t index = find_link(inside, "eth0")->index;
    const IpPrefix address{IpAddress::from_number(Family::kIpv4, 0x0a010000U + static_cast<unsigned>(number)),
                           16};
    inside.transact_all(
        std::vector<Request>{add_address(index, address, DuplicateDetection::kOff), set_up(index)});
    return container;
  }

  static MacAddress mac_of(int number) { return MacAddress::from_hash(static_cast<std::uint64_t>(number)); }
  std::uint32_t port(int number) { return find_link(route(), "nc" + std::to_string(number))->index; }

  void lock(int number) {
    BridgePortSpec spec;
    spec.index = port(number);
    spec.locked = true;
    route().transact(set_bridge_port(spec));
  }

  /// What `bridge fdb` says of a container's address: empty when it says nothing.
  static nlohmann::json entry(int number) {
    const auto entries = nlohmann::json::parse(output_of({"bridge", "-j", "fdb", "show", "br", "br0"}));
    for (const auto& each : entries) {
      if (each.at("mac") == mac_of(number).to_string()) return each;
    }
    return {};
  }

  static bool ping(const Netns& from, const std::string& address, const char* patience) {
    bool reached = false;
    from.run([&] { reached = run_command({"ping", "-c1", "-i0.2", patience, address}).exit_code == 0; });
    return reached;
  }
  /// Tried until there is an answer: a port passes nothing before the kernel's link watch has noticed it.
  static bool reaches(const Netns& from, const std::string& address) { return ping(from, address, "-w20"); }
  static bool answers_at_once(const Netns& from, const std::string& address) {
    return ping(from, address, "-W1");
  }
};

TEST_F(NeighbourTest, BridgeEntryIsStaticAndForItsPort) {
  const Netns container = attach(2);
  route().transact(add_bridge_fdb(port(2), mac_of(2)));
  EXPECT_EQ(entry(2).at("ifname"), "nc2");
  EXPECT_EQ(entry(2).at("state"), "static");
  EXPECT_EQ(entry(2).at("master"), "br0");
  EXPECT_EQ(route().transact(add_bridge_fdb(port(2), mac_of(2))), 0) << "adding it again is success";
}

TEST_F(NeighbourTest, BridgeEntryReplacesTheLearnedOne) {
  const Netns container = attach(2);
  ASSERT_TRUE(reaches(container, "10.1.0.1"));
  ASSERT_NE(entry(2), nlohmann::json()) << "the bridge has not learned the address";
  ASSERT_NE(entry(2).at("state"), "static");
  route().transact(add_bridge_fdb(port(2), mac_of(2)));
  EXPECT_EQ(entry(2).at("state"), "static");
}

TEST_F(NeighbourTest, LockedPortPassesTheContainersAddressOnly) {
  const Netns container = attach(2);
  const Netns other = attach(3);
  lock(2);
  EXPECT_FALSE(answers_at_once(container, "10.1.0.3")) << "a locked port without an entry passes nothing";
  route().transact(add_bridge_fdb(port(2), mac_of(2)));
  EXPECT_TRUE(reaches(container, "10.1.0.3"));
  EXPECT_TRUE(reaches(container, "10.1.0.1"));
  Socket inside = open_socket_in(container, Bus::kRoute);
  inside.transact(set_mac(find_link(inside, "eth0")->index, mac_of(77)));
  EXPECT_FALSE(answers_at_once(container, "10.1.0.3")) << "a forged address came through a locked port";
}

TEST_F(NeighbourTest, BridgeEntryGoesWithThePort) {
  const Netns container = attach(2);
  route().transact(add_bridge_fdb(port(2), mac_of(2)));
  route().transact(delete_link(port(2)));
  EXPECT_EQ(entry(2), nlohmann::json());
}

TEST_F(NeighbourTest, BridgeEntryNeedsAPort) {
  EXPECT_THROW(route().transact(add_bridge_fdb(1, mac_of(2))), Error);
}

TEST_F(NeighbourTest, IsForgotten) {
  const Netns container = attach(2);
  const std::uint32_t bridge = find_link(route(), "br0")->index;
  output_of({"ip", "neigh", "add", "10.1.0.9", "lladdr", "02:00:00:00:00:99", "dev", "br0"});
  output_of({"ip", "neigh", "add", "fd00::9", "lladdr", "02:00:00:00:00:99", "dev", "br0"});
  EXPECT_EQ(route().transact(delete_neighbour(bridge, *IpAddress::parse("10.1.0.9"))), 0);
  EXPECT_EQ(route().transact(delete_neighbour(bridge, *IpAddress::parse("fd00::9"))), 0);
  EXPECT_THAT(output_of({"ip", "neigh", "show", "dev", "br0"}),
              ::testing::Not(::testing::HasSubstr("lladdr")));
  EXPECT_EQ(route().transact(delete_neighbour(bridge, *IpAddress::parse("10.1.0.77"))), ENOENT);
}

}  // namespace
}  // namespace netctl::netlink
