#include "plugins/bandwidth/bandwidth_config.hpp"

#include <gmock/gmock.h>

#include "tests/unit/cni/support.hpp"
#include "tests/unit/engine/sample.hpp"

namespace netctl::bandwidth {
namespace {

using cni::test::error_of;
using engine::BandwidthRequest;
using engine::sample::prefix;
using netlink::RateLimit;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

BandwidthRequest read(const std::string& config) {
  return read_request(engine::sample::invocation(nlohmann::json::parse(config)));
}

TEST(BandwidthConfig, CountsInBytesWhatIsGivenInBits) {
  const BandwidthRequest request =
      read(R"({"ingressRate": 8000, "ingressBurst": 4294967295, "egressRate": 16, "egressBurst": 800})");
  EXPECT_EQ(request.ingress, (RateLimit{1000, 536'870'911U}));
  EXPECT_EQ(request.egress, (RateLimit{2, 100}));
  EXPECT_THAT(request.subnets, IsEmpty());
}

TEST(BandwidthConfig, TakesTheRuntimesWishInAnyCaseOfLetters) {
  for (
      const char* config :
      {R"({"runtimeConfig": {"bandwidth": {"ingressRate": 8000, "ingressBurst": 800}}})",
       R"({"runtimeConfig": {"bandwidth": {"IngressRate": 8000, "IngressBurst": 800, "EgressRate": 0, "EgressBurst": 0}}})",
       R"({"runtimeConfig": {"Bandwidth": {"INGRESSRATE": 8000, "ingressburst": 800}}})"}) {
    EXPECT_EQ(read(config).ingress, (RateLimit{1000, 100})) << config;
    EXPECT_FALSE(read(config).egress) << config;
  }
}

TEST(BandwidthConfig, PrefersTheConfiguration) {
  const BandwidthRequest request = read(R"({"egressRate": 80, "egressBurst": 80,
      "runtimeConfig": {"bandwidth": {"ingressRate": 8000, "ingressBurst": 800}}})");
  EXPECT_FALSE(request.ingress);
  EXPECT_EQ(request.egress, (RateLimit{10, 10}));
}

TEST(BandwidthConfig, AsksForNothing) {
  for (const char* config : {"{}", R"({"ingressRate": 0, "ingressBurst": 0})", R"({"runtimeConfig": {}})",
                             R"({"runtimeConfig": {"bandwidth": null}})", R"({"ingressRate": null})"}) {
    EXPECT_TRUE(read(config).is_empty()) << config;
  }
}

TEST(BandwidthConfig, ReadsSubnetsOnce) {
  const std::string limit = R"("ingressRate": 8000, "ingressBurst": 800, )";
  const BandwidthRequest shaped =
      read("{" + limit + R"("shapedSubnets": ["10.1.2.3/16", "10.1.0.0/16", "fd00::/8"]})");
  EXPECT_TRUE(shaped.only_subnets);
  EXPECT_THAT(shaped.subnets, ElementsAre(prefix("10.1.0.0/16"), prefix("fd00::/8")));
  const BandwidthRequest unshaped =
      read("{" + limit + R"("unshapedSubnets": ["10.1.0.0/16"], "shapedSubnets": []})");
  EXPECT_FALSE(unshaped.only_subnets);
  EXPECT_THAT(unshaped.subnets, ElementsAre(prefix("10.1.0.0/16")));
}

TEST(BandwidthConfig, NamesTheKeyWithAWrongValue) {
  const struct {
    const char* config;
    const char* named;
  } cases[] = {
      {R"({"ingressRate": "8000", "ingressBurst": 800})", "ingressRate: "},
      {R"({"ingressRate": -1, "ingressBurst": 800})", "ingressRate: "},
      {R"({"ingressRate": 1.5, "ingressBurst": 800})", "ingressRate: "},
      {R"({"ingressRate": 8000})", "if rate is set, burst must also be set"},
      {R"({"ingressBurst": 8000})", "if burst is set, rate must also be set"},
      {R"({"egressRate": 8000, "egressBurst": 0})", "if rate is set, burst must also be set"},
      {R"({"egressRate": 8000, "egressBurst": 34359738360})", "burst cannot be more than 4GB"},
      {R"({"egressRate": 7, "egressBurst": 800})", "egressRate: "},
      {R"({"egressRate": 80, "egressBurst": 7})", "egressBurst: "},
      {R"({"shapedSubnets": "10.0.0.0/8"})", "shapedSubnets: "},
      {R"({"shapedSubnets": ["10.0.0.0"]})", "bad subnet"},
      {R"({"unshapedSubnets": ["10.0.0.0/33"]})", "bad subnet"},
      {R"({"unshapedSubnets": ["10.0.0.0/8"], "shapedSubnets": ["10.0.0.0/8"]})", "cannot be both specified"},
      {R"({"runtimeConfig": {"bandwidth": 5}})", "runtimeConfig.bandwidth: "},
      {R"({"runtimeConfig": {"bandwidth": {"IngressRate": 8000}}})",
       "if rate is set, burst must also be set"},
  };
  for (const auto& one : cases) {
    const Error error = error_of([&] { (void)read(one.config); });
    EXPECT_EQ(error.code(), ErrorCode::kInvalidConfig) << one.config;
    EXPECT_THAT(error.message(), HasSubstr(one.named)) << one.config;
  }
}

}  // namespace
}  // namespace netctl::bandwidth
