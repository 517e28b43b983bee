#include "plugins/bridge/bridge_config.hpp"

#include <gmock/gmock.h>

#include "tests/unit/cni/support.hpp"
#include "tests/unit/engine/sample.hpp"

namespace netctl::bridge {
namespace {

using engine::Addressing;
using engine::AttachmentRequest;
using engine::sample::address;
using engine::sample::invocation;
using engine::sample::texts;
using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

/// The request of a configuration without anything that points into the call.
AttachmentRequest read(const std::string& config, const std::string& args = "") {
  cni::Invocation call = invocation(json::parse(config));
  call.args = cni::Args::parse(args);
  AttachmentRequest request = read_request(call);
  EXPECT_EQ(request.invocation, &call);
  request.invocation = nullptr;
  return request;
}

TEST(BridgeConfig, TakesItsIdentityFromTheCall) {
  cni::Invocation call = invocation({{"name", "green"}});
  call.container_id = "c7";
  call.ifname = "net1";
  call.netns = "/run/netns/x";
  call.netns_override = true;
  const AttachmentRequest request = read_request(call);
  EXPECT_EQ(request.key, (ipam::AttachmentKey{"green", "c7", "net1"}));
  EXPECT_EQ(request.driver, "bridge");
  EXPECT_TRUE(request.makes_link);
  EXPECT_EQ(request.netns_path, "/run/netns/x");
  EXPECT_TRUE(request.netns_override);
}

TEST(BridgeConfig, ReadsVlans) {
  const auto vlan_of = [](const char* config) {
    return std::get<engine::BridgePort>(read(config).link).vlan;
  };
  EXPECT_FALSE(vlan_of(R"({"vlan": 0, "vlanTrunk": [], "preserveDefaultVlan": false})").is_wanted());
  EXPECT_FALSE(vlan_of(R"({"vlanTrunk": [{}]})").is_wanted());
  EXPECT_TRUE(vlan_of("{}").keep_default);
  const engine::VlanSpec access = vlan_of(R"({"vlan": 100, "preserveDefaultVlan": false})");
  EXPECT_EQ(access.access, 100);
  EXPECT_FALSE(access.keep_default);
  const engine::VlanSpec trunk = vlan_of(
      R"({"vlanTrunk": [{"id": 7}, {"minID": 20, "maxID": 30}, {"minID": 25, "maxID": 31, "id": 8}, {"id": 40}]})");
  using Range = std::pair<std::uint16_t, std::uint16_t>;
  EXPECT_EQ(trunk.trunk, (std::vector<Range>{{7, 8}, {20, 31}, {40, 40}}));
  EXPECT_EQ(trunk.access, 0);
}

TEST(BridgeConfig, HasTheReferencesDefaults) {
  for (const char* config :
       {"{}", R"({"bridge": "", "mac": "", "ipMasqBackend": "", "netctl": {}, "mtu": 0})",
        R"({"vlan": 0, "vlanTrunk": [], "preserveDefaultVlan": false, "dns": {}})",
        R"({"bridge": null, "isGateway": null, "ipam": null, "vlan": null, "netctl": null})"}) {
    const AttachmentRequest request = read(config);
    const engine::NetworkSpec& network = request.network;
    EXPECT_EQ(network.bridge, "cni0") << config;
    EXPECT_EQ(network.mtu_bytes, 0U) << config;
    EXPECT_FALSE(network.is_gateway || network.force_address || network.promiscuous || network.masquerade ||
                 network.isolated || network.internal)
        << config;
    EXPECT_TRUE(network.localhost_publish) << config;
    EXPECT_THAT(network.masquerade_exclude, IsEmpty()) << config;
    const engine::EndpointSpec& endpoint = request.endpoint;
    EXPECT_FALSE(endpoint.mac || endpoint.hairpin || endpoint.port_isolation || endpoint.spoof_check ||
                 endpoint.detect_duplicates || endpoint.disable_ipv6 || endpoint.leave_down ||
                 endpoint.default_gateway)
        << config;
    EXPECT_TRUE(endpoint.ports.empty() && endpoint.dns.is_empty()) << config;
    EXPECT_EQ(request.addressing.kind, Addressing::kNone) << config;
  }
}

/// Each switch alone, so that no two of them can be mixed up.
TEST(BridgeConfig, ReadsEachSwitch) {
  using Getter = bool (*)(const AttachmentRequest&);
  const struct {
    const char* config;
    Getter is_on;
  } cases[] = {
      {R"({"isGateway": true})", [](const AttachmentRequest& r) { return r.network.is_gateway; }},
      {R"({"isDefaultGateway": true})",
       [](const AttachmentRequest& r) { return r.endpoint.default_gateway; }},
      {R"({"forceAddress": true})", [](const AttachmentRequest& r) { return r.network.force_address; }},
      {R"({"ipMasq": true})", [](const AttachmentRequest& r) { return r.network.masquerade; }},
      {R"({"promiscMode": true})", [](const AttachmentRequest& r) { return r.network.promiscuous; }},
      {R"({"hairpinMode": true})", [](const AttachmentRequest& r) { return r.endpoint.hairpin; }},
      {R"({"portIsolation": true})", [](const AttachmentRequest& r) { return r.endpoint.port_isolation; }},
      {R"({"macspoofchk": true})", [](const AttachmentRequest& r) { return r.endpoint.spoof_check; }},
      {R"({"enabledad": true})", [](const AttachmentRequest& r) { return r.endpoint.detect_duplicates; }},
      {R"({"disableContainerInterface": true})",
       [](const AttachmentRequest& r) { return r.endpoint.leave_down; }},
      {R"({"netctl": {"isolation": true}})", [](const AttachmentRequest& r) { return r.network.isolated; }},
      {R"({"netctl": {"internal": true}})", [](const AttachmentRequest& r) { return r.network.internal; }},
      {R"({"netctl": {"disableIPv6": true}})",
       [](const AttachmentRequest& r) { return r.endpoint.disable_ipv6; }},
      {R"({"netctl": {"localhostPublish": false}})",
       [](const AttachmentRequest& r) { return !r.network.localhost_publish; }},
  };
  for (const auto& wanted : cases) {
    const AttachmentRequest request = read(wanted.config);
    for (const auto& other : cases) {
      const bool implied = std::string(wanted.config).find("isDefaultGateway") != std::string::npos &&
                           std::string(other.config).find("isGateway") != std::string::npos;
      EXPECT_EQ(other.is_on(request), wanted.config == other.config || implied)
          << other.config << " of " << wanted.config;
    }
  }
}

TEST(BridgeConfig, ReadsEachValue) {
  EXPECT_EQ(read(R"({"bridge": "br-123456789ab"})").network.bridge, "br-123456789ab");
  EXPECT_EQ(read(R"({"bridge": "fifteen-bytes-x"})").network.bridge, "fifteen-bytes-x");
  EXPECT_EQ(read(R"({"mtu": 1400})").network.mtu_bytes, 1400U);
  EXPECT_EQ(read(R"({"mtu": 65535})").network.mtu_bytes, 65535U);
  EXPECT_EQ(read(R"({"mac": "02:00:00:00:00:07"})").endpoint.mac, MacAddress::parse("02:00:00:00:00:07"));
  EXPECT_THAT(
      texts(
          read(R"({"netctl": {"masqueradeExclude": ["10.0.0.0/8", "fd00::1"]}})").network.masquerade_exclude),
      ElementsAre("10.0.0.0/8", "fd00::1/128"));
  EXPECT_THAT(read(R"({"dns": {"nameservers": ["10.1.0.53"]}})").endpoint.dns.nameservers,
              ElementsAre("10.1.0.53"));
}

TEST(BridgeConfig, AcceptsWhatChangesNothing) {
  for (const char* config : {R"({"ipMasqBackend": "nftables"})", R"({"ipMasqBackend": "iptables"})",
                             R"({"netctl": {"description": "of the shop", "exclude": ["10.1.0.0/28"]}})",
                             R"({"unknown": 5, "capabilities": {"portMappings": true}})"}) {
    EXPECT_EQ(read(config).network.bridge, "cni0") << config;
  }
}

TEST(BridgeConfig, PrefersWhatTheRuntimeSays) {
  const AttachmentRequest request =
      read(R"({"mac": "02:00:00:00:00:07", "dns": {"nameservers": ["10.1.0.53"]},
      "ipam": {"type": "host-local"},
      "runtimeConfig": {"mac": "02:00:00:00:00:08", "dns": {"servers": ["10.2.0.53"]}, "ips": ["10.1.0.9"],
                        "portMappings": [{"hostPort": 8080, "containerPort": 80}], "aliases": ["web", "w"]},
      "args": {"cni": {"labels": [{"key": "tier", "value": "front"}]}}})",
           "IgnoreUnknown=1;K8S_POD_NAME=web");
  EXPECT_EQ(request.endpoint.mac, MacAddress::parse("02:00:00:00:00:08"));
  EXPECT_THAT(request.endpoint.dns.nameservers, ElementsAre("10.2.0.53"));
  EXPECT_THAT(request.addressing.wanted, ElementsAre(address("10.1.0.9")));
  ASSERT_EQ(request.endpoint.ports.size(), 1U);
  EXPECT_EQ(request.endpoint.ports.front().host_port, 8080);
  EXPECT_EQ(request.container_name, "web");
  EXPECT_EQ(request.labels.at("tier"), "front");
  EXPECT_THAT(request.aliases, ElementsAre("web", "w"));
}

TEST(BridgeConfig, ReadsAddressing) {
  EXPECT_EQ(read(R"({"ipam": {"type": "host-local", "subnet": "10.1.0.0/24"}})").addressing.kind,
            Addressing::kPool);
  EXPECT_EQ(read(R"({"ipam": {"type": "dhcp"}})").addressing.delegate, "dhcp");
}

}  // namespace
}  // namespace netctl::bridge
