#include "plugins/engine/static_config.hpp"

#include <gmock/gmock.h>

#include "plugins/engine/ipam_config.hpp"
#include "tests/unit/cni/support.hpp"
#include "tests/unit/engine/sample.hpp"

namespace netctl::engine {
namespace {

using cni::test::error_of;
using nlohmann::json;
using sample::invocation;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

cni::Invocation call(const std::string& ipam, const std::string& more = "{}", const std::string& args = "") {
  json config = json::parse(more);
  config["ipam"] = json::parse(ipam);
  config["ipam"]["type"] = "static";
  cni::Invocation made = invocation(config);
  made.args = cni::Args::parse(args);
  return made;
}

/// "address via gateway" of each.
std::vector<std::string> held(const cni::Invocation& invocation) {
  std::vector<std::string> texts;
  for (const ipam::LeaseRecord& lease : read_static_addressing(invocation).fixed) {
    texts.push_back(lease.address.to_string() + (lease.gateway ? " via " + lease.gateway->to_string() : ""));
  }
  return texts;
}

constexpr const char* kTwo = R"({"addresses": [{"address": "10.1.0.5/24", "gateway": "10.1.0.1"},
                                               {"address": "fd00::5/64"}]})";

TEST(StaticConfig, ReadsAddressesRoutesAndDns) {
  const cni::Invocation whole = call(R"({"addresses": [{"address": "10.1.0.5/24", "gateway": "10.1.0.1"}],
      "routes": [{"dst": "0.0.0.0/0"}, {"dst": "192.168.0.0/16", "gw": "10.1.0.9"}],
      "dns": {"nameservers": ["10.1.0.53"], "domain": "example"}})");
  const AddressingSpec spec = read_addressing(whole, cni::read_runtime_config(whole));
  EXPECT_EQ(spec.kind, Addressing::kStatic);
  ASSERT_EQ(spec.fixed.size(), 1U);
  EXPECT_EQ(spec.fixed[0], sample::lease("10.1.0.5/24", "10.1.0.1", ""));
  EXPECT_EQ(spec.routes.size(), 2U);
  EXPECT_THAT(spec.dns.nameservers, ElementsAre("10.1.0.53"));
  EXPECT_EQ(spec.dns.domain, "example");
}

TEST(StaticConfig, AcceptsNoAddressAtAll) {
  EXPECT_THAT(held(call("{}")), IsEmpty());
  EXPECT_THAT(held(call(R"({"addresses": null})")), IsEmpty());
}

TEST(StaticConfig, AppendsAddressesOfTheArguments) {
  EXPECT_THAT(held(call(kTwo, "{}", "IP=10.2.0.7/24,fd01::7/64;GATEWAY=10.2.0.1,fd01::1,10.9.0.1")),
              ElementsAre("10.1.0.5/24 via 10.1.0.1", "fd00::5/64", "10.2.0.7/24 via 10.2.0.1",
                          "fd01::7/64 via fd01::1"));
  EXPECT_THAT(held(call(kTwo, "{}", "GATEWAY=fd00::1")),
              ElementsAre("10.1.0.5/24 via 10.1.0.1", "fd00::5/64 via fd00::1"));
}

TEST(StaticConfig, LetsTheRuntimeReplaceAddresses) {
  const char* args = R"({"args": {"cni": {"ips": ["10.3.0.7/24"]}}})";
  EXPECT_THAT(held(call(kTwo, args, "IP=10.2.0.7/24")), ElementsAre("10.3.0.7/24"));
  const char* both =
      R"({"args": {"cni": {"ips": ["10.3.0.7/24"]}}, "runtimeConfig": {"IPs": ["10.4.0.7/24"]}})";
  EXPECT_THAT(held(call(kTwo, both)), ElementsAre("10.4.0.7/24"));
  const char* none = R"({"args": {"cni": {"ips": []}}, "runtimeConfig": {"ips": null}})";
  EXPECT_EQ(held(call(kTwo, none)).size(), 2U);
}

TEST(StaticConfig, NamesWhatIsNoCidr) {
  struct Case {
    cni::Invocation call;
    const char* words;
    ErrorCode code;
  };
  const Case cases[] = {
      {call(R"({"addresses": [{"address": "10.1.0.5"}]})"),
       "the 'address' field is expected to be in CIDR notation", ErrorCode::kInvalidConfig},
      {call(R"({"addresses": [{"gateway": "10.1.0.1"}]})"), "got: ''", ErrorCode::kInvalidConfig},
      {call(R"({"addresses": [{"address": "0.0.0.0/0"}]})"), "ipam.addresses[0].address",
       ErrorCode::kInvalidConfig},
      {call(R"({"addresses": [{"address": "224.0.0.5/24"}]})"), "CIDR", ErrorCode::kInvalidConfig},
      {call(R"({"addresses": [{"address": "10.1.0.5/24", "gateway": "nowhere"}]})"),
       "ipam.addresses[0].gateway", ErrorCode::kInvalidConfig},
      {call(R"({"addresses": [{"address": "10.1.0.5/24", "gateway": "fd00::1"}]})"),
       "invalid gateway address", ErrorCode::kInvalidConfig},
      {call(R"({"addresses": {"address": "10.1.0.5/24"}})"), "ipam.addresses", ErrorCode::kInvalidConfig},
      {call("{}", R"({"runtimeConfig": {"ips": ["10.1.0.5"]}})"),
       "an entry in the 'ips' field is NOT in CIDR notation, got: '10.1.0.5'", ErrorCode::kInvalidConfig},
      {call("{}", R"({"args": {"cni": {"ips": ["x/24"]}}})"), "args.cni.ips", ErrorCode::kInvalidConfig},
      {call("{}", "{}", "IP=10.1.0.5"), "the 'ip' field is expected to be in CIDR notation",
       ErrorCode::kInvalidEnvironment},
      {call(kTwo, "{}", "GATEWAY=10.1.0.1,x"), "invalid gateway address: x", ErrorCode::kInvalidEnvironment},
  };
  for (const Case& one : cases) {
    const Error error = error_of([&] { (void)read_static_addressing(one.call); });
    EXPECT_THAT(error.message(), HasSubstr(one.words));
    EXPECT_EQ(error.code(), one.code) << error.message();
  }
}

TEST(StaticConfig, KnowsThatOldVersionsHaveOneAddressAFamily) {
  const char* two = R"({"addresses": [{"address": "10.1.0.5/24"}, {"address": "10.1.0.6/24"}]})";
  const Error error =
      error_of([&] { (void)read_static_addressing(call(two, R"({"cniVersion": "0.2.0"})")); });
  EXPECT_THAT(error.message(), HasSubstr("does not support more than 1 address per family"));
  EXPECT_EQ(held(call(kTwo, R"({"cniVersion": "0.2.0"})")).size(), 2U);
}

TEST(StaticConfig, NeedsTheBlock) {
  const Error error = error_of([] { (void)read_static_addressing(invocation(json::object())); });
  EXPECT_EQ(error.code(), ErrorCode::kInvalidConfig);
  EXPECT_THAT(error.message(), HasSubstr("IPAM config missing 'ipam' key"));
}

}  // namespace
}  // namespace netctl::engine
