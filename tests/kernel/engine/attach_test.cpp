#include "plugins/engine/attach.hpp"

#include "plugins/engine/identity.hpp"
#include "tests/kernel/engine/engine_fixture.hpp"

namespace netctl::engine {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

using AttachTest = EngineTest;

std::vector<std::string> global_addresses(const Box& box) {
  std::vector<std::string> texts;
  const nlohmann::json shown = box.ip({"addr", "show", "dev", "eth0", "scope", "global"});
  for (const auto& one : shown.at(0).at("addr_info")) {
    if (one.contains("local"))
      texts.push_back(one.at("local").get<std::string>() + "/" +
                      std::to_string(one.at("prefixlen").get<int>()));
  }
  return texts;
}

std::string default_gateway(const Box& box, const std::string& family) {
  const nlohmann::json routes = box.ip({family, "route", "show", "default"});
  return routes.empty() ? "none" : routes.at(0).value("gateway", "none");
}

TEST_F(AttachTest, GivesADualStackContainerAllThatThePlanSays) {
  const Box box;
  const AttachmentRequest request = wanted_dual_stack("c1", box);
  const cni::Result result = add(request);
  EXPECT_THAT(global_addresses(box), ElementsAre("10.77.0.2/24", "fd77::2/64"));
  EXPECT_EQ(default_gateway(box, "-4"), "10.77.0.1");
  EXPECT_EQ(default_gateway(box, "-6"), "fd77::1");
  EXPECT_THAT(box.ip({"link", "show", "dev", "lo"}).at(0).at("flags"), Contains("UP"));
  const auto end = host_end(request);
  ASSERT_TRUE(end);
  EXPECT_TRUE(end->up);
  EXPECT_EQ(end->master_index, link("br-blue")->index);
  EXPECT_EQ(end->alias,
            link_alias(request.key, {sample::prefix("10.77.0.2/24"), sample::prefix("fd77::2/64")}));
  EXPECT_EQ(link("br-blue")->alias, bridge_alias("blue"));
  EXPECT_EQ(link("br-blue")->mac, bridge_mac("br-blue"));
  EXPECT_EQ(sysctl("ipv4/ip_forward"), "1");
  EXPECT_EQ(sysctl("ipv6/conf/all/forwarding"), "1");
  EXPECT_EQ(sysctl("ipv6/conf/" + end->name + "/disable_ipv6"), "1");
  box.run({"ping", "-c1", "-W5", "10.77.0.1"});
  box.run({"ping", "-6", "-c1", "-W5", "fd77::1"});
}

TEST_F(AttachTest, ReportsWhatItMade) {
  const Box box;
  const AttachmentRequest request = wanted_dual_stack("c1", box);
  const cni::Result result = add(request);
  ASSERT_EQ(result.interfaces.size(), 3U);
  EXPECT_EQ(result.interfaces[0].name, "br-blue");
  EXPECT_EQ(result.interfaces[0].mac, link("br-blue")->mac->to_string());
  EXPECT_EQ(result.interfaces[1].name, host_ifname(request.key));
  EXPECT_EQ(result.interfaces[1].mac, host_end(request)->mac->to_string());
  EXPECT_EQ(result.interfaces[2].name, "eth0");
  EXPECT_EQ(result.interfaces[2].sandbox, box.path());
  EXPECT_EQ(result.interfaces[2].mac, box.ip({"link", "show", "dev", "eth0"}).at(0).at("address"));
  EXPECT_THAT(addresses_of(result), ElementsAre("10.77.0.2/24", "fd77::2/64"));
  EXPECT_EQ(result.ips[0].gateway, sample::address("10.77.0.1"));
  EXPECT_EQ(result.ips[1].interface, 2);
  EXPECT_EQ(result.routes.size(), 2U);
  EXPECT_TRUE(result.netctl.is_null());
}

TEST_F(AttachTest, LeavesTheHostAsItWasWhenTheLastOneGoes) {
  const std::string before = snapshot();
  const Box one, other;
  AttachmentRequest first = wanted_dual_stack("c1", one);
  first.endpoint.ports = {mapping(8080, 80)};
  const AttachmentRequest second = wanted_dual_stack("c2", other);
  add(first);
  add(second);
  del(first);
  EXPECT_TRUE(link("br-blue"));
  EXPECT_TRUE(host_end(second));
  del(second);
  EXPECT_EQ(snapshot(), before);
  EXPECT_FALSE(record_of(first) || record_of(second) || network_record("blue"));
  EXPECT_FALSE(one.has_interface());
}

TEST_F(AttachTest, IsTakenBackAgainAndAgain) {
  const Box box;
  const AttachmentRequest request = wanted("c1", box);
  del(request);  // before there ever was a network
  add(request);
  del(request);
  del(request);
  EXPECT_FALSE(host_end(request));
}

TEST_F(AttachTest, SetsTheFlagsOfThePort) {
  const Box box;
  AttachmentRequest request = wanted("c1", box);
  request.endpoint.hairpin = true;
  request.endpoint.port_isolation = true;
  request.endpoint.spoof_check = true;
  add(request);
  const auto end = host_end(request);
  ASSERT_TRUE(end);
  EXPECT_EQ(end->hairpin, true);
  EXPECT_EQ(end->isolated, true);
  EXPECT_EQ(end->locked, true);
  box.run({"ping", "-c1", "-W5", "10.77.0.1"});  // its own source address passes
}

TEST_F(AttachTest, MakesALayerTwoPort) {
  const Box box;
  AttachmentRequest request = wanted("c1", box);
  request.addressing = {};
  request.network.is_gateway = false;
  request.network.masquerade = false;
  request.network.mtu_bytes = 1400;
  request.endpoint.default_gateway = false;
  request.endpoint.leave_down = true;
  const cni::Result result = add(request);
  EXPECT_THAT(result.ips, IsEmpty());
  const nlohmann::json shown = box.ip({"link", "show", "dev", "eth0"}).at(0);
  EXPECT_THAT(shown.at("flags"), Not(Contains("UP")));
  EXPECT_EQ(shown.at("mtu"), 1400);
  EXPECT_THAT(testing::output_of({"nft", "list", "ruleset"}), IsEmpty());
  EXPECT_EQ(sysctl("ipv4/ip_forward"), "0");
}

TEST_F(AttachTest, RefusesASecondTime) {
  const Box box;
  const AttachmentRequest request = wanted("c1", box);
  add(request);
  const Error error = refusal(request);
  EXPECT_EQ(error.code(), ErrorCode::kAlreadyAttached);
  EXPECT_THAT(error.message(), HasSubstr("name-of-c1"));
  EXPECT_TRUE(host_end(request));
  check(engine(), request.key, "bridge", std::nullopt);
}

TEST_F(AttachTest, RefusesAnInterfaceThatIsThere) {
  const std::string before = snapshot();
  const Box box;
  box.run({"ip", "link", "add", "eth0", "type", "bridge"});
  const Error error = refusal(wanted("c1", box));
  EXPECT_EQ(error.code(), ErrorCode::kInterfaceTaken);
  EXPECT_THAT(error.message(), HasSubstr("eth0"));
  EXPECT_EQ(snapshot(), before);
  EXPECT_FALSE(record_of(wanted("c1", box)));
  EXPECT_EQ(box.ip({"-d", "link", "show", "dev", "eth0"}).at(0).at("linkinfo").at("info_kind"), "bridge");
}

TEST_F(AttachTest, RefusesTheHostsOwnNamespaceUnlessItIsMeant) {
  const Box box;
  AttachmentRequest request = wanted("c1", box);
  request.netns_path = "/proc/self/ns/net";
  request.endpoint.default_gateway = false;
  const std::string before = snapshot();
  EXPECT_EQ(refusal(request).code(), ErrorCode::kInvalidNetns);
  EXPECT_EQ(snapshot(), before);
  request.netns_override = true;
  add(request);
  EXPECT_TRUE(link("eth0"));
  del(request);
  EXPECT_EQ(snapshot(), before);
}

TEST_F(AttachTest, RefusesWhatIsNoNamespace) {
  const Box box;
  AttachmentRequest request = wanted("c1", box);
  for (const char* path : {"/nonexistent", "/dev/null", "/proc/self/ns/mnt", "/tmp"}) {
    request.netns_path = path;
    EXPECT_EQ(refusal(request).code(), ErrorCode::kInvalidNetns) << path;
  }
}

TEST_F(AttachTest, UndoesTheOldOneWhenTheIdComesWithAnotherNamespace) {
  const Box old_box, new_box;
  AttachmentRequest request = wanted("c1", old_box);
  request.endpoint.ports = {mapping(8080, 80)};
  add(request);
  request.netns_path = new_box.path();
  const cni::Result result = add(request);
  EXPECT_FALSE(old_box.has_interface());
  EXPECT_EQ(global_addresses(new_box), addresses_of(result));
  EXPECT_EQ(record_of(request)->netns_path, new_box.path());
  EXPECT_EQ(published().size(), 1U);
  check(engine(), request.key, "bridge", result);
}

TEST_F(AttachTest, PlansWithoutChangingAnything) {
  const std::string before = snapshot();
  const Box box;
  AttachmentRequest request = wanted_dual_stack("c1", box);
  request.endpoint.ports = {mapping(0, 80)};
  const Plan plan = plan_attach(engine(), request);
  EXPECT_EQ(snapshot(), before);
  EXPECT_FALSE(record_of(request) || network_record("blue"));
  EXPECT_EQ(addresses_of(add(request)), sample::texts(plan.addresses));
}

TEST_F(AttachTest, IsUndoneWhenItsResultCannotBeDelivered) {
  const std::string before = snapshot();
  const Box box;
  const AttachmentRequest request = wanted("c1", box);
  add(request);
  undo_attach(engine(), request);
  EXPECT_EQ(snapshot(), before);
  EXPECT_FALSE(record_of(request));
}

}  // namespace
}  // namespace netctl::engine
