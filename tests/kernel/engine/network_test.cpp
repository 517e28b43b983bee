// One network and its bridge: made, mended, adopted, refused.

#include "plugins/engine/network.hpp"

#include "tests/kernel/engine/engine_fixture.hpp"

namespace netctl::engine {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::output_of;

class NetworkTest : public EngineTest {
 protected:
  static void make_bridge(const std::string& name, const std::string& address = {}) {
    output_of({"ip", "link", "add", name, "type", "bridge"});
    if (!address.empty()) output_of({"ip", "addr", "add", address, "dev", name});
  }
  static std::vector<std::string> host_addresses(const std::string& link_name) {
    std::vector<std::string> texts;
    const nlohmann::json shown = testing::ip_json({"-4", "addr", "show", "dev", link_name});
    if (shown.empty()) return texts;
    for (const auto& one : shown.at(0).at("addr_info")) {
      texts.push_back(one.at("local").get<std::string>() + "/" +
                      std::to_string(one.at("prefixlen").get<int>()));
    }
    return texts;
  }
};

TEST_F(NetworkTest, IsMadeOnceAndGoesWithItsLastContainer) {
  const Box one, other;
  add(wanted("c1", one));
  const std::uint32_t index = link("br-blue")->index;
  add(wanted("c2", other));
  EXPECT_EQ(link("br-blue")->index, index);
  del(wanted("c1", one));
  EXPECT_TRUE(link("br-blue"));
  EXPECT_EQ(sysctl("ipv4/ip_forward"), "1");
  del(wanted("c2", other));
  EXPECT_FALSE(link("br-blue"));
  EXPECT_EQ(sysctl("ipv4/ip_forward"), "0");
}

TEST_F(NetworkTest, HasTheMtuAndTheModeOfItsConfiguration) {
  const Box box;
  AttachmentRequest request = wanted("c1", box);
  request.network.mtu_bytes = 1400;
  request.network.promiscuous = true;
  add(request);
  EXPECT_EQ(link("br-blue")->mtu_bytes, 1400U);
  EXPECT_TRUE(link("br-blue")->promiscuous);
  EXPECT_EQ(box.ip({"link", "show", "dev", "eth0"}).at(0).at("mtu"), 1400);
}

TEST_F(NetworkTest, IsMadeAnewWithItsLivingContainersWhenItsBridgeWasDeleted) {
  const Box plain_box, flagged_box, next_box;
  const AttachmentRequest plain = wanted("c1", plain_box);
  AttachmentRequest flagged = wanted("c2", flagged_box);
  flagged.endpoint.hairpin = true;
  flagged.endpoint.port_isolation = true;
  flagged.endpoint.spoof_check = true;
  add(plain);
  add(flagged);
  output_of({"ip", "link", "del", "br-blue"});
  EXPECT_EQ(host_end(plain)->master_index, 0U);
  const AttachmentRequest next = wanted("c3", next_box);
  add(next);
  const auto bridge = link("br-blue");
  ASSERT_TRUE(bridge);
  EXPECT_THAT(host_addresses("br-blue"), ElementsAre("10.77.0.1/24"));
  for (const AttachmentRequest& request : {plain, flagged, next}) {
    const auto end = host_end(request);
    ASSERT_TRUE(end);
    EXPECT_EQ(end->master_index, bridge->index);
    const bool has_flags = request.key == flagged.key;
    EXPECT_EQ(end->hairpin, has_flags);
    EXPECT_EQ(end->isolated, has_flags);
    EXPECT_EQ(end->locked, has_flags);
    check(engine(), request.key, "bridge", std::nullopt);
  }
  plain_box.run({"ping", "-c1", "-W5", "10.77.0.1"});
  flagged_box.run({"ping", "-c1", "-W5", "10.77.0.1"});
  for (const AttachmentRequest& request : {plain, flagged, next}) del(request);
  EXPECT_FALSE(link("br-blue"));
}

TEST_F(NetworkTest, TakesItsContainersBackWhenItsBridgeWasReplacedByHand) {
  const Box box, next_box;
  const AttachmentRequest living = wanted("c1", box);
  add(living);
  output_of({"ip", "link", "del", "br-blue"});
  make_bridge("br-blue");
  add(wanted("c2", next_box));
  EXPECT_EQ(host_end(living)->master_index, link("br-blue")->index);
  check(engine(), living.key, "bridge", std::nullopt);
}

TEST_F(NetworkTest, LeavesABridgeInPlaceThatItAdopted) {
  make_bridge("br-blue");
  const Box one, other;
  for (const AttachmentRequest& request : {wanted("c1", one), wanted("c2", other)}) {
    add(request);
    EXPECT_EQ(host_end(request)->master_index, link("br-blue")->index);
  }
  EXPECT_TRUE(link("br-blue")->up);
  EXPECT_EQ(link("br-blue")->alias, "");
  del(wanted("c1", one));
  del(wanted("c2", other));
  EXPECT_TRUE(link("br-blue"));
  EXPECT_THAT(host_addresses("br-blue"), ElementsAre());  // the gateway was this network's
  EXPECT_FALSE(network_record("blue"));
}

TEST_F(NetworkTest, KeepsAnAddressThatAnAdoptedBridgeHasAlready) {
  make_bridge("br-blue", "10.77.0.1/24");
  const Box box;
  add(wanted("c1", box));
  EXPECT_THAT(host_addresses("br-blue"), ElementsAre("10.77.0.1/24"));
  del(wanted("c1", box));
  EXPECT_THAT(host_addresses("br-blue"), ElementsAre("10.77.0.1/24"));
}

TEST_F(NetworkTest, RefusesABridgeWithAnotherAddress) {
  make_bridge("br-blue", "10.99.0.1/24");
  const Box box;
  const Error error = refusal(wanted("c1", box));
  EXPECT_EQ(error.code(), ErrorCode::kInvalidConfig);
  EXPECT_THAT(error.message(), HasSubstr("br-blue already has an IP address different from 10.77.0.1/24"));
  EXPECT_THAT(error.message(), HasSubstr("forceAddress"));
  EXPECT_THAT(error.details(), HasSubstr("10.99.0.1/24"));
  EXPECT_THAT(host_addresses("br-blue"), ElementsAre("10.99.0.1/24"));
  EXPECT_FALSE(record_of(wanted("c1", box)) || network_record("blue"));
  EXPECT_FALSE(host_end(wanted("c1", box)));
  EXPECT_EQ(sysctl("ipv4/ip_forward"), "0");
}

TEST_F(NetworkTest, ReplacesAnotherAddressWhenForced) {
  make_bridge("br-blue", "10.99.0.1/24");
  output_of({"ip", "addr", "add", "fd99::1/64", "dev", "br-blue"});
  const Box box;
  AttachmentRequest request = wanted("c1", box);
  request.network.force_address = true;
  add(request);
  EXPECT_THAT(host_addresses("br-blue"), ElementsAre("10.77.0.1/24"));
  EXPECT_THAT(output_of({"ip", "-6", "addr", "show", "dev", "br-blue"}), HasSubstr("fd99::1/64"));
}

TEST_F(NetworkTest, ToleratesOtherIpv6AddressesThatDoNotOverlap) {
  make_bridge("br-blue");
  output_of({"ip", "addr", "add", "fd99::1/64", "dev", "br-blue"});
  const Box box;
  add(wanted_dual_stack("c1", box));
  const std::string shown = output_of({"ip", "-6", "addr", "show", "dev", "br-blue"});
  EXPECT_THAT(shown, HasSubstr("fd99::1/64"));
  EXPECT_THAT(shown, HasSubstr("fd77::1/64"));
}

TEST_F(NetworkTest, RefusesADeviceThatIsNoBridge) {
  output_of({"ip", "link", "add", "br-blue", "type", "veth", "peer", "name", "other0"});
  const std::string before = snapshot();
  const Box box;
  const Error error = refusal(wanted("c1", box));
  EXPECT_EQ(error.code(), ErrorCode::kInvalidConfig);
  EXPECT_THAT(error.message(), HasSubstr("br-blue exists and is no bridge"));
  EXPECT_THAT(error.details(), HasSubstr("kind veth"));
  EXPECT_EQ(snapshot(), before);
}

TEST_F(NetworkTest, LeavesADeviceThatTookItsBridgesNameAlone) {
  const Box box;
  const AttachmentRequest request = wanted("c1", box);
  add(request);
  output_of({"ip", "link", "del", "br-blue"});
  output_of({"ip", "link", "add", "br-blue", "type", "veth", "peer", "name", "other0"});
  const Box next;
  EXPECT_EQ(refusal(wanted("c2", next)).code(), ErrorCode::kInvalidConfig);
  EXPECT_TRUE(record_of(request));
  del(request);
  EXPECT_EQ(link("br-blue")->kind, "veth");
  EXPECT_FALSE(network_record("blue"));
}

TEST_F(NetworkTest, TakesNewSettingsOfItsConfiguration) {
  const Box one, other;
  add(wanted("c1", one));
  AttachmentRequest edited = wanted("c2", other);
  edited.network.isolated = true;
  edited.network.masquerade_exclude = {sample::prefix("10.0.0.0/8")};
  add(edited);
  const iptables::NetworkPolicy policy = policy_from_json(network_record("blue")->policy);
  EXPECT_TRUE(policy.isolated);
  EXPECT_THAT(policy.masquerade_exclude, ElementsAre(sample::prefix("10.0.0.0/8")));
  EXPECT_THAT(table().find_drift(policy, {}), ElementsAre());
  check(engine(), wanted("c1", one).key, "bridge", std::nullopt);
}

TEST_F(NetworkTest, HasAGatewayInEachOfItsSubnets) {
  const Box one, other;
  AttachmentRequest second = wanted("c2", other);
  second.addressing.sets = {{{sample::prefix("10.78.0.0/24"), {}, {}, {}}}};
  add(wanted("c1", one));
  add(second);
  EXPECT_THAT(host_addresses("br-blue"), ElementsAre("10.77.0.1/24", "10.78.0.1/24"));
  other.run({"ping", "-c1", "-W5", "10.78.0.1"});
  del(wanted("c1", one));
  del(second);
  EXPECT_FALSE(link("br-blue"));
}

}  // namespace
}  // namespace netctl::engine
