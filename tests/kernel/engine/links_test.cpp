// Links without a bridge: what ADD makes of them, what CHECK says of changes, and what is undone wherever an ADD stopped.

#include "netlink/link_move.hpp"
#include "plugins/engine/identity.hpp"
#include "plugins/engine/link_kinds.hpp"
#include "plugins/engine/liveness.hpp"
#include "plugins/engine/part.hpp"
#include "tests/kernel/engine/engine_fixture.hpp"

namespace netctl::engine {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::output_of;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

class LinksTest : public EngineTest {
 protected:
  AttachmentRequest routed(const std::string& id, const Box& box) {
    AttachmentRequest request = wanted_dual_stack(id, box);
    request.driver = "ptp";
    request.link = PointToPoint{};
    request.network.is_gateway = false;
    return request;
  }

  AttachmentRequest on_master(const std::string& id, const Box& box) {
    AttachmentRequest request = wanted(id, box);
    request.driver = "macvlan";
    request.network = {};
    Macvlan spec;
    spec.master = "up0";
    request.link = spec;
    return request;
  }

  AttachmentRequest moving(const std::string& id, const Box& box) {
    AttachmentRequest request = on_master(id, box);
    request.driver = "host-device";
    HostDevice spec;
    spec.device = "up0";
    request.link = spec;
    return request;
  }

  static void make_device() {
    output_of({"ip", "link", "add", "up0", "type", "veth", "peer", "name", "up1"});
    output_of({"ip", "link", "set", "up0", "up"});
    output_of({"ip", "link", "set", "up1", "up"});
    output_of({"ip", "addr", "add", "192.0.2.1/24", "dev", "up0"});
  }

  /// As the kernel does it with hardware when a namespace ends.
  void give_up(const Box& box, const std::string& name) {
    std::optional<netlink::Socket> inside;
    box.netns().run([&inside] { inside = netlink::Socket::open(netlink::Bus::kRoute); });
    const netlink::Netns home = netlink::Netns::current();
    const auto index = inside->find_link_index("eth0");
    ASSERT_TRUE(index);
    inside->transact(netlink::move_link(*index, home.fd(), name));
    ASSERT_TRUE(link(name));
  }

  /// As if the process had died right after its first transaction.
  void reserve_only(const AttachmentRequest& request) {
    change_record(request, [&](ipam::AttachmentRecord& record) {
      record.parts[request.driver] = ipam::State::kAdding;
      record.result = nullptr;
    });
  }

  std::vector<std::string> drift(const AttachmentRequest& request) {
    return find_drift(engine(), record_of(request).value());
  }
};

TEST_F(LinksTest, RouteToAContainerWithoutABridge) {
  const std::string before = snapshot();
  const Box box;
  const AttachmentRequest request = routed("c1", box);
  const cni::Result result = add(request);
  EXPECT_THAT(result.interfaces, SizeIs(2));
  EXPECT_EQ(result.ips.at(0).interface, 1);
  box.run({"ping", "-c1", "-W5", "10.77.0.1"});
  box.run({"ping", "-6", "-c1", "-W5", "fd77::1"});
  EXPECT_THAT(drift(request), IsEmpty());
  const std::string end = host_ifname(request.key);
  output_of({"ip", "route", "del", "10.77.0.2/32", "dev", end});
  output_of({"ip", "addr", "del", "fd77::1/128", "dev", end});
  EXPECT_THAT(drift(request), UnorderedElementsAre("the gateway's address fd77::1 is missing on " + end,
                                                   "the host's route to 10.77.0.2 is missing"));
  del(request);
  EXPECT_EQ(snapshot(), before);
  EXPECT_FALSE(network_record("blue"));
}

TEST_F(LinksTest, KeepTheRulesOfTheirOwnLinkThroughAFlush) {
  const Box one, other;
  AttachmentRequest first = routed("c1", one);
  first.endpoint.ports = {mapping(8080, 80)};
  add(first);
  output_of({"nft", "delete", "table", "inet", "netctl"});
  EXPECT_FALSE(drift(first).empty());
  add(routed("c2", other));
  EXPECT_THAT(drift(first), IsEmpty());
  const std::string guarded = output_of({"nft", "list", "set", "inet", "netctl", "guarded_links"});
  EXPECT_THAT(guarded, HasSubstr(host_ifname(first.key)));
  del(first);
  EXPECT_EQ(output_of({"nft", "list", "ruleset"}).find(host_ifname(first.key)), std::string::npos);
}

TEST_F(LinksTest, NeedAGatewayAtBothEnds) {
  const Box box;
  AttachmentRequest request = routed("c1", box);
  request.addressing = {};
  request.addressing.kind = Addressing::kStatic;
  request.addressing.fixed = {sample::lease("10.77.0.9/24", "", "")};
  EXPECT_EQ(refusal(request).code(), ErrorCode::kInvalidConfig);
  EXPECT_FALSE(record_of(request));
}

TEST_F(LinksTest, LieOnTopOfAMaster) {
  make_device();
  const std::string before = snapshot();
  const Box box;
  const AttachmentRequest request = on_master("c1", box);
  const cni::Result result = add(request);
  EXPECT_THAT(result.interfaces, SizeIs(1));
  EXPECT_EQ(snapshot(), before) << "nothing of it is in the host's namespace";
  EXPECT_THAT(drift(request), IsEmpty());
  EXPECT_EQ(examine(engine(), record_of(request).value()), Liveness::kAlive);
  box.run({"ip", "link", "set", "eth0", "type", "macvlan", "mode", "private"});
  EXPECT_THAT(drift(request), ElementsAre("the mode of eth0 is private instead of bridge"));
  del(request);
  EXPECT_FALSE(box.has_interface());
  del(request);
}

TEST_F(LinksTest, AreUndoneWhereAnAddOfAMacvlanStopped) {
  make_device();
  const Box box;
  const AttachmentRequest request = on_master("c1", box);
  add(request);
  reserve_only(request);
  box.run({"ip", "link", "set", "eth0", "alias", ""});  // made, and not named yet
  EXPECT_EQ(collect_garbage(engine(), std::nullopt).attachments, 1U);
  EXPECT_FALSE(box.has_interface());
  add(request);
  reserve_only(request);
  box.run({"ip", "link", "del", "eth0"});  // not made yet, and somebody else has the name
  box.run({"ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth1"});
  EXPECT_EQ(collect_garbage(engine(), std::nullopt).attachments, 1U);
  EXPECT_TRUE(box.has_interface());
}

TEST_F(LinksTest, ComeBackFromTheContainer) {
  make_device();
  const std::string before = snapshot();
  const Box box;
  const AttachmentRequest request = moving("c1", box);
  add(request);
  EXPECT_FALSE(link("up0"));
  EXPECT_EQ(box.ip({"link", "show", "dev", "eth0"}).at(0).at("ifalias"), device_alias(request.key, "up0"));
  EXPECT_THAT(drift(request), IsEmpty());
  EXPECT_EQ(refusal(request).code(), ErrorCode::kAlreadyAttached);
  del(request);
  EXPECT_EQ(snapshot(), before);
}

TEST_F(LinksTest, ComeBackWhereverAMoveStopped) {
  make_device();
  const std::string before = snapshot();
  const Box box;
  const AttachmentRequest request = moving("c1", box);
  const auto stop_with = [&](const std::function<void()>& change) {
    add(request);
    change();
    reserve_only(request);
    EXPECT_EQ(collect_garbage(engine(), std::nullopt).attachments, 1U);
    EXPECT_EQ(snapshot(), before);
  };
  stop_with([] {});
  stop_with([&] { box.run({"ip", "link", "set", "eth0", "name", "strange7"}); });
  stop_with([&] { give_up(box, "dev9"); });
  stop_with([&] { give_up(box, "up0"); });
}

TEST_F(LinksTest, TellThatTheirContainerIsDeadWhenTheyAreBack) {
  make_device();
  Box box;
  const AttachmentRequest request = moving("c1", box);
  add(request);
  change_record(request, [](ipam::AttachmentRecord& record) { record.mount_namespace = "another"; });
  EXPECT_EQ(examine(engine(), record_of(request).value()), Liveness::kAlive);
  const auto index = box.ip({"link", "show", "dev", "eth0"}).at(0).at("ifindex").get<std::uint32_t>();
  give_up(box, "dev9");
  ASSERT_EQ(link("dev9")->index, index);
  EXPECT_EQ(examine(engine(), record_of(request).value()), Liveness::kDead);
  box.die();
  EXPECT_EQ(collect_garbage(engine(), std::nullopt).attachments, 1U);
  EXPECT_TRUE(link("up0"));
}

TEST_F(LinksTest, GetTheirNameBackWithoutARecordToo) {
  make_device();
  output_of({"ip", "link", "set", "up0", "down"});
  output_of(
      {"ip", "link", "set", "up0", "name", "dev9", "alias", device_alias({"blue", "c1", "eth0"}, "up0")});
  EXPECT_EQ(collect_garbage(engine(), std::nullopt).links, 1U);
  ASSERT_TRUE(link("up0"));
  EXPECT_EQ(link("up0")->alias, "");
}

}  // namespace
}  // namespace netctl::engine
