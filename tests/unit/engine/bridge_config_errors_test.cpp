// Every key with a wrong value: the code and the key that the message names.

#include <gmock/gmock.h>

#include "plugins/bridge/bridge_config.hpp"
#include "tests/unit/cni/support.hpp"
#include "tests/unit/engine/sample.hpp"

namespace netctl::bridge {
namespace {

using cni::test::error_of;
using engine::sample::invocation;
using nlohmann::json;
using ::testing::HasSubstr;

Error refusal(const json& config) {
  const cni::Invocation call = invocation(config);
  return error_of([&] { (void)read_request(call); });
}

TEST(BridgeConfigErrors, NameTheKeyWithAWrongType) {
  const struct {
    const char* key;
    std::vector<const char*> values;
  } cases[] = {
      {"bridge", {"5", "true", "[]", R"("bridge\u00000")"}},
      {"isGateway", {R"("yes")", "1", "{}"}},
      {"isDefaultGateway", {R"("true")", "0"}},
      {"forceAddress", {R"("true")", "1"}},
      {"ipMasq", {R"("true")", "1"}},
      {"ipMasqBackend", {"5", R"("ebtables")", R"("NFTABLES")"}},
      {"promiscMode", {R"("true")", "1"}},
      {"hairpinMode", {R"("true")", "1"}},
      {"portIsolation", {R"("true")", "1"}},
      {"macspoofchk", {R"("true")", "1"}},
      {"enabledad", {R"("true")", "1"}},
      {"disableContainerInterface", {R"("true")", "1"}},
      {"preserveDefaultVlan", {R"("true")", "1"}},
      {"mtu", {R"("1500")", "-1", "65536", "1500.5", "true", "1e99"}},
      {"vlan", {R"("7")", "-1", "4095", "1.5"}},
      {"mac",
       {"5", R"("02:00:00:00:00")", R"("02:00:00:00:00:zz")", R"("01:00:00:00:00:07")",
        R"("00:00:00:00:00:00")"}},
      {"dns", {"5", R"("10.1.0.53")", R"({"nameservers": "10.1.0.53"})", R"({"domain": 5})"}},
      {"ipam", {"5", "[]"}},
      {"netctl", {"5", "[]", R"("on")"}},
      {"runtimeConfig", {"5", "[]"}},
      {"args", {"5", R"({"cni": 5})"}},
  };
  for (const auto& one : cases) {
    for (const char* value : one.values) {
      const Error error = refusal({{one.key, json::parse(value)}});
      EXPECT_EQ(error.code(), ErrorCode::kInvalidConfig) << one.key << ": " << value;
      EXPECT_THAT(error.message(), HasSubstr(one.key)) << value;
    }
  }
}

TEST(BridgeConfigErrors, NameTheKeyOfOurOwnObject) {
  const struct {
    const char* key;
    std::vector<const char*> values;
  } cases[] = {
      {"isolation", {R"("true")", "1"}},
      {"internal", {R"("true")", "1"}},
      {"localhostPublish", {R"("true")", "1"}},
      {"disableIPv6", {R"("true")", "1"}},
      {"masqueradeExclude", {R"("10.0.0.0/8")", "[5]", R"(["10.0.0.0/8", "x"])", R"(["10.0.0.0/33"])"}},
  };
  for (const auto& one : cases) {
    for (const char* value : one.values) {
      const Error error = refusal({{"netctl", {{one.key, json::parse(value)}}}});
      EXPECT_EQ(error.code(), ErrorCode::kInvalidConfig) << one.key << ": " << value;
      EXPECT_THAT(error.message(), HasSubstr("netctl." + std::string(one.key))) << value;
    }
  }
}

TEST(BridgeConfigErrors, RefuseAnUnknownKeyOfOurOwnObject) {
  for (const char* key : {"isolate", "Isolation", "ports", "masqueradeexclude"}) {
    const Error error = refusal({{"netctl", {{"isolation", true}, {key, true}}}});
    EXPECT_EQ(error.code(), ErrorCode::kUnsupportedField) << key;
    EXPECT_THAT(error.message(), HasSubstr("netctl." + std::string(key))) << key;
    EXPECT_THAT(error.message(), HasSubstr("true")) << key;
    EXPECT_EQ(error.details(), key);
  }
}

TEST(BridgeConfigErrors, RefuseWhatIsNoInterfaceName) {
  for (const char* name : {"sixteen-bytes-xx", "a/b", "a:b", "a%d", "a b", "a\tb", "a\nb", ".", ".."}) {
    const Error error = refusal({{"bridge", name}});
    EXPECT_EQ(error.code(), ErrorCode::kInvalidConfig) << name;
    EXPECT_THAT(error.message(), HasSubstr("bridge: is no interface name")) << name;
  }
}

TEST(BridgeConfigErrors, SayWhatIsWrongWithATrunk) {
  const struct {
    const char* trunk;
    const char* words;
  } cases[] = {
      {R"([{"minID": 5}])", "minID and maxID should be configured simultaneously, maxID is missing"},
      {R"([{"maxID": 5}])", "minID and maxID should be configured simultaneously, minID is missing"},
      {R"([{"minID": 6, "maxID": 5}])", "minID is greater than maxID in trunk parameter"},
      {R"([{"minID": 0, "maxID": 5}])", "vlanTrunk[0].minID"},
      {R"([{"minID": 1, "maxID": 4095}])", "vlanTrunk[0].maxID"},
      {R"([{"id": 7}, {"id": 0}])", "vlanTrunk[1].id"},
      {R"([{"id": "7"}])", "vlanTrunk[0].id"},
      {R"({"id": 7})", "vlanTrunk"},
      {R"([7])", "vlanTrunk"},
  };
  for (const auto& one : cases) {
    const Error error = refusal({{"vlanTrunk", json::parse(one.trunk)}});
    EXPECT_EQ(error.code(), ErrorCode::kInvalidConfig) << one.trunk;
    EXPECT_THAT(error.message(), HasSubstr(one.words)) << one.trunk;
  }
}

TEST(BridgeConfigErrors, WantRoomForTheNameOfAVlansGateway) {
  const Error error = refusal({{"bridge", "twelve-bytes"}, {"vlan", 4094}, {"isGateway", true}});
  EXPECT_EQ(error.code(), ErrorCode::kInvalidConfig);
  EXPECT_THAT(error.message(), HasSubstr("twelve-bytes.4094"));
}

TEST(BridgeConfigErrors, NameOneOfTheKeysThatDoNotGoTogether) {
  const struct {
    const char* config;
    const char* named;
  } cases[] = {
      {R"({"hairpinMode": true, "promiscMode": true})",
       "cannot set hairpin mode and promiscuous mode at the same time"},
      {R"({"disableContainerInterface": true, "ipam": {"type": "host-local", "subnet": "10.1.0.0/24"}})",
       "cannot use IPAM when disableContainerInterface is set"},
      {R"({"disableContainerInterface": true, "ipam": {"type": "dhcp"}})",
       "cannot use IPAM when disableContainerInterface is set"},
      {R"({"runtimeConfig": {"portMappings": [{"hostPort": 8080, "containerPort": 80}]}})",
       "ipam: is needed to publish ports"},
  };
  for (const auto& one : cases) {
    const Error error = refusal(json::parse(one.config));
    EXPECT_EQ(error.code(), ErrorCode::kInvalidConfig) << one.config;
    EXPECT_THAT(error.message(), HasSubstr(one.named)) << one.config;
  }
}

TEST(BridgeConfigErrors, NameTheVariableOfTheRuntime) {
  for (const char* args : {"IP=10.1.0.x", "MAC=02:00", "MAC=01:00:00:00:00:07"}) {
    cni::Invocation call = invocation(json::object());
    call.args = cni::Args::parse(args);
    const Error error = error_of([&] { (void)read_request(call); });
    EXPECT_EQ(error.code(), ErrorCode::kInvalidEnvironment) << args;
    EXPECT_THAT(error.message(), HasSubstr(args)) << args;
  }
}

}  // namespace
}  // namespace netctl::bridge
