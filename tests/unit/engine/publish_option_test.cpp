#include "plugins/frontdoor/publish_option.hpp"

#include <gmock/gmock.h>

#include "tests/unit/cni/support.hpp"
#include "tests/unit/engine/sample.hpp"

namespace netctl::frontdoor {
namespace {

using cni::test::error_of;
using ::testing::HasSubstr;

TEST(PublishOption, ReadsEveryForm) {
  const struct {
    const char* text;
    const char* mapping;
  } cases[] = {
      {"80", R"({"hostPort": 0, "containerPort": 80, "protocol": "tcp"})"},
      {"8080:80", R"({"hostPort": 8080, "containerPort": 80, "protocol": "tcp"})"},
      {"8080:80/tcp", R"({"hostPort": 8080, "containerPort": 80, "protocol": "tcp"})"},
      {"53:53/udp", R"({"hostPort": 53, "containerPort": 53, "protocol": "udp"})"},
      {"5000:5000/sctp", R"({"hostPort": 5000, "containerPort": 5000, "protocol": "sctp"})"},
      {"80/udp", R"({"hostPort": 0, "containerPort": 80, "protocol": "udp"})"},
      {"0:80", R"({"hostPort": 0, "containerPort": 80, "protocol": "tcp"})"},
      {":80", R"({"hostPort": 0, "containerPort": 80, "protocol": "tcp"})"},
      {"65535:65535", R"({"hostPort": 65535, "containerPort": 65535, "protocol": "tcp"})"},
      {"127.0.0.1:8080:80",
       R"({"hostIP": "127.0.0.1", "hostPort": 8080, "containerPort": 80, "protocol": "tcp"})"},
      {"127.0.0.1::80", R"({"hostIP": "127.0.0.1", "hostPort": 0, "containerPort": 80, "protocol": "tcp"})"},
      {"0.0.0.0:8080:80",
       R"({"hostIP": "0.0.0.0", "hostPort": 8080, "containerPort": 80, "protocol": "tcp"})"},
      {"[::1]:8080:80/udp", R"({"hostIP": "::1", "hostPort": 8080, "containerPort": 80, "protocol": "udp"})"},
      {"[::]:8080:80", R"({"hostIP": "::", "hostPort": 8080, "containerPort": 80, "protocol": "tcp"})"},
      {"[2001:db8::1]::80",
       R"({"hostIP": "2001:db8::1", "hostPort": 0, "containerPort": 80, "protocol": "tcp"})"},
      {"8000-8010:80-90", R"({"hostPort": 8000, "containerPort": 80, "protocol": "tcp", "range": 11})"},
      {"80-90", R"({"hostPort": 0, "containerPort": 80, "protocol": "tcp", "range": 11})"},
      {"127.0.0.1:8000-8001:80-81/udp",
       R"({"hostIP": "127.0.0.1", "hostPort": 8000, "containerPort": 80, "protocol": "udp", "range": 2})"},
      {"8080-8080:80-80", R"({"hostPort": 8080, "containerPort": 80, "protocol": "tcp"})"},
  };
  for (const auto& one : cases) {
    const std::vector<nlohmann::json> expected = {nlohmann::json::parse(one.mapping)};
    EXPECT_EQ(parse_publish(one.text), expected) << one.text;
  }
}

TEST(PublishOption, GivesMappingsThatThePluginsUnderstand) {
  for (const char* text : {"80", "8000-8010:80-90/UDP", "[::1]:8080:80", "127.0.0.1::80/sctp"}) {
    const nlohmann::json config = {{"runtimeConfig", {{"portMappings", parse_publish(text)}}}};
    EXPECT_EQ(cni::read_runtime_config(engine::sample::invocation(config)).port_mappings.size(), 1U) << text;
  }
}

TEST(PublishOption, SaysWhatIsWrongAndHowToWriteIt) {
  const struct {
    const char* text;
    const char* named;
  } cases[] = {
      {"", "\"\" is no port"},
      {"0", "cannot be 0"},
      {"8080:0", "cannot be 0"},
      {"http", "\"http\" is no port"},
      {"x:80", "\"x\" is no port"},
      {"65536:80", "\"65536\" is no port"},
      {"80:65536", "\"65536\" is no port"},
      {"99999999999999999999:80", "is no port"},
      {"-1:80", "is no port"},
      {"+1:80", "\"+1\" is no port"},
      {" 80", "is no port"},
      {"80 :80", "is no port"},
      {"8080:", "\"\" is no port"},
      {"8080:80/", "\"\" is no protocol"},
      {"8080:80/icmp", "\"icmp\" is no protocol"},
      {"8080:80/tcp/udp", "is no port"},
      {"8010-8000:80-90", "ends before it begins"},
      {"8000-8010:80-91", "differ in length"},
      {"8000-8010:80", "differ in length"},
      {"8000:80-81", "differ in length"},
      {"8000-:80", "is no port"},
      {"1.2.3:8080:80", "\"1.2.3\" is no address"},
      {"localhost:8080:80", "\"localhost\" is no address"},
      {"[]:8080:80", "\"[]\" is no address"},
      {"[::g]:8080:80", "\"::g\" is no address"},
      {"[::1]8080:80", "is no port"},
      {"10.0.0.0/8:80", "is no"},
  };
  for (const auto& one : cases) {
    const Error error = error_of([&] { (void)parse_publish(one.text); });
    EXPECT_EQ(error.code(), ErrorCode::kInvalidConfig) << one.text;
    EXPECT_THAT(error.message(), HasSubstr(one.named)) << one.text;
    EXPECT_THAT(error.message(), HasSubstr("-p " + std::string(one.text))) << one.text;
    EXPECT_THAT(error.message(), HasSubstr("[HOSTIP:][HOST:]CONTAINER")) << one.text;
  }
}

}  // namespace
}  // namespace netctl::frontdoor
