#include "plugins/portmap/portmap_config.hpp"

#include <gmock/gmock.h>

#include "tests/unit/cni/support.hpp"
#include "tests/unit/engine/sample.hpp"

namespace netctl::portmap {
namespace {

using cni::test::error_of;
using engine::PublishRequest;
using engine::sample::address;
using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

cni::Invocation call_with(const json& config) {
  cni::Invocation call = engine::sample::invocation(config);
  if (config.contains("prevResult"))
    call.prev_result = cni::Result::from_json(config.at("prevResult"), "1.1.0");
  return call;
}

PublishRequest read(const std::string& config) { return read_request(call_with(json::parse(config))); }

TEST(PortmapConfig, TakesItsIdentityFromTheCall) {
  cni::Invocation call = call_with({{"type", "portmap"}});
  call.args = cni::Args::parse("K8S_POD_NAME=web;IgnoreUnknown=1");
  const PublishRequest request = read_request(call);
  EXPECT_EQ(request.key, (ipam::AttachmentKey{"blue", "c1", "eth0"}));
  EXPECT_EQ(request.netns_path, "/run/netns/a");
  EXPECT_EQ(request.container_name, "web");
  EXPECT_THAT(request.ports, IsEmpty());
  EXPECT_THAT(request.targets, IsEmpty());
}

TEST(PortmapConfig, TranslatesLocalSourcesUnlessToldOtherwise) {
  for (const char* config : {"{}", R"({"snat": true})", R"({"snat": null})"}) {
    EXPECT_TRUE(read(config).masquerade_local) << config;
  }
  EXPECT_FALSE(read(R"({"snat": false})").masquerade_local);
}

TEST(PortmapConfig, ReadsTheMappings) {
  const PublishRequest request = read(R"({"runtimeConfig": {"portMappings": [
      {"hostPort": 8080, "containerPort": 80, "protocol": "TCP"},
      {"hostPort": 0, "containerPort": 53, "protocol": "udp", "hostIP": "127.0.0.1", "range": 2}]}})");
  ASSERT_EQ(request.ports.size(), 2U);
  EXPECT_EQ(request.ports[0].protocol, "tcp");
  EXPECT_EQ(request.ports[1].host_ip, address("127.0.0.1"));
  EXPECT_EQ(request.ports[1].count, 2);
}

TEST(PortmapConfig, AcceptsKeysThatChangeNothing) {
  for (const char* config : {R"({"backend": "nftables"})", R"({"backend": "iptables"})", R"({"backend": ""})",
                             R"({"masqAll": false})", R"({"conditionsV4": [], "conditionsV6": null})",
                             R"({"externalSetMarkChain": ""})", R"({"unknown": 5})", R"({"markMasqBit": 0})",
                             R"({"markMasqBit": 31})", R"({"externalSetMarkChain": "KUBE-MARK-MASQ"})"}) {
    EXPECT_TRUE(read(config).masquerade_local) << config;
  }
}

TEST(PortmapConfig, WithoutSourceTranslationThereIsNothingToWiden) {
  EXPECT_FALSE(read(R"({"masqAll": true, "snat": false})").masquerade_local);
}

TEST(PortmapConfig, FindsTheAddressesOfTheContainersInterface) {
  const struct {
    const char* why;
    const char* ips;
    std::vector<IpAddress> expected;
  } cases[] = {
      {"one a family, the first",
       R"([{"address": "10.1.0.5/24", "interface": 1}, {"address": "10.1.0.6/24", "interface": 1},
                                      {"address": "fd00::5/64", "interface": 1}])",
       {address("10.1.0.5"), address("fd00::5")}},
      {"not the host's",
       R"([{"address": "10.1.0.1/24", "interface": 0}, {"address": "10.1.0.5/24", "interface": 1}])",
       {address("10.1.0.5")}},
      {"not another interface's",
       R"([{"address": "10.2.0.5/24", "interface": 2}, {"address": "10.1.0.5/24", "interface": 1}])",
       {address("10.1.0.5")}},
      {"not one of the same name on the host",
       R"([{"address": "10.3.0.5/24", "interface": 3}, {"address": "10.1.0.5/24", "interface": 1}])",
       {address("10.1.0.5")}},
      {"of no interface",
       R"([{"address": "10.1.0.5/24"}, {"address": "fd00::5/64", "interface": -1}])",
       {address("10.1.0.5"), address("fd00::5")}},
      {"none", "[]", {}},
  };
  for (const auto& one : cases) {
    json config = json::parse(R"({"prevResult": {"cniVersion": "1.1.0", "interfaces": [
        {"name": "br-blue"}, {"name": "eth0", "sandbox": "/run/netns/a"}, {"name": "net1", "sandbox": "/run/netns/a"},
        {"name": "eth0"}]}})");
    config["prevResult"]["ips"] = json::parse(one.ips);
    EXPECT_EQ(read_request(call_with(config)).targets, one.expected) << one.why;
  }
}

TEST(PortmapConfig, NamesTheKeyWithAWrongValue) {
  const struct {
    const char* config;
    const char* named;
    ErrorCode code;
  } cases[] = {
      {R"({"backend": 5})", "backend: ", ErrorCode::kInvalidConfig},
      {R"({"backend": "ebtables"})", "backend: ", ErrorCode::kInvalidConfig},
      {R"({"snat": "yes"})", "snat: ", ErrorCode::kInvalidConfig},
      {R"({"masqAll": "yes"})", "masqAll: ", ErrorCode::kInvalidConfig},
      {R"({"masqAll": true})", "the key masqAll with value true", ErrorCode::kUnsupportedField},
      {R"({"markMasqBit": "13"})", "markMasqBit: ", ErrorCode::kInvalidConfig},
      {R"({"markMasqBit": 32})", "markMasqBit: ", ErrorCode::kInvalidConfig},
      {R"({"markMasqBit": -1})", "markMasqBit: ", ErrorCode::kInvalidConfig},
      {R"({"externalSetMarkChain": 5})", "externalSetMarkChain: ", ErrorCode::kInvalidConfig},
      {R"({"externalSetMarkChain": "MY-MARKS"})", "the key externalSetMarkChain with value \"MY-MARKS\"",
       ErrorCode::kUnsupportedField},
      {R"({"externalSetMarkChain": "KUBE-MARK-MASQ", "markMasqBit": 13})",
       "externalSetMarkChain: cannot be combined with markMasqBit", ErrorCode::kInvalidConfig},
      {R"({"conditionsV4": "-s 10.0.0.1"})", "conditionsV4: ", ErrorCode::kInvalidConfig},
      {R"({"conditionsV4": ["-s", "10.0.0.1"]})", "the key conditionsV4 with value [\"-s\",\"10.0.0.1\"]",
       ErrorCode::kUnsupportedField},
      {R"({"conditionsV6": [5]})", "conditionsV6: ", ErrorCode::kInvalidConfig},
      {R"({"conditionsV6": ["-s", "::1"]})", "the key conditionsV6", ErrorCode::kUnsupportedField},
      {R"({"runtimeConfig": 5})", "runtimeConfig: ", ErrorCode::kInvalidConfig},
      {R"({"runtimeConfig": {"portMappings": {}}})",
       "runtimeConfig.portMappings: ", ErrorCode::kInvalidConfig},
      {R"({"runtimeConfig": {"portMappings": [{"hostPort": 80}]}})",
       "runtimeConfig.portMappings[0].containerPort: ", ErrorCode::kInvalidConfig},
      {R"({"runtimeConfig": {"portMappings": [{"hostPort": 65536, "containerPort": 80}]}})",
       "runtimeConfig.portMappings[0].hostPort: ", ErrorCode::kInvalidConfig},
      {R"({"runtimeConfig": {"portMappings": [{"containerPort": 80, "protocol": "icmp"}]}})",
       "runtimeConfig.portMappings[0].protocol: ", ErrorCode::kInvalidConfig},
      {R"({"runtimeConfig": {"portMappings": [{"containerPort": 80, "hostIP": "x"}]}})",
       "runtimeConfig.portMappings[0].hostIP: ", ErrorCode::kInvalidConfig},
  };
  for (const auto& one : cases) {
    const Error error = error_of([&] { (void)read(one.config); });
    EXPECT_EQ(error.code(), one.code) << one.config;
    EXPECT_THAT(error.message(), HasSubstr(one.named)) << one.config;
  }
}

}  // namespace
}  // namespace netctl::portmap
