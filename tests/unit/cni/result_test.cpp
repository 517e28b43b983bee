#include "plugins/cni/result.hpp"

#include <gmock/gmock.h>

#include "plugins/cni/version.hpp"
#include "tests/unit/cni/support.hpp"

namespace netctl::cni {
namespace {

using nlohmann::json;
using test::error_of;
using testing::HasSubstr;

TEST(Result, LeavesOutWhatIsEmpty) {
  for (const auto& version : supported_versions()) {
    json expected{{"cniVersion", version}};
    if (!at_least(version, "1.0.0")) expected["dns"] = json::object();
    EXPECT_EQ(Result{}.to_json(version), expected);
    EXPECT_EQ(Result::from_json(expected, version), Result{});
  }
}

TEST(Result, TakesNullForAbsent) {
  const json nulls{{"cniVersion", nullptr},
                   {"interfaces", nullptr},
                   {"ips", nullptr},
                   {"routes", nullptr},
                   {"dns", {{"nameservers", nullptr}, {"domain", nullptr}}},
                   {"netctl", nullptr}};
  EXPECT_EQ(Result::from_json(nulls, "1.0.0"), Result{});
}

TEST(Result, ReadsResultsOfVersionsOfTheSameShape) {
  EXPECT_NO_THROW(static_cast<void>(Result::from_json({{"cniVersion", "0.3.1"}}, "0.4.0")));
  EXPECT_NO_THROW(static_cast<void>(Result::from_json({{"cniVersion", "1.0.0"}}, "1.1.0")));
  EXPECT_NO_THROW(static_cast<void>(Result::from_json({{"cniVersion", ""}}, "1.1.0")));
  for (const auto& [own, version] :
       {std::pair("0.4.0", "1.0.0"), std::pair("1.0.0", "0.4.0"), std::pair("0.2.0", "0.3.0"),
        std::pair("9.9.9", "1.0.0"), std::pair("1.0", "1.0.0")}) {
    const Error error = error_of([&, own = own, version = version] {
      return Result::from_json({{"cniVersion", own}}, version);
    });
    EXPECT_EQ(error.code(), ErrorCode::kDecode);
    EXPECT_THAT(error.message(), HasSubstr(own));
  }
}

TEST(Result, ToleratesInterfaceIndicesThatPointNowhere) {
  for (const json& index : {json(-1), json(1), json(1000000), json(nullptr), json(INT32_MIN)}) {
    const json text{{"interfaces", json::array({json{{"name", "eth0"}}})},
                    {"ips", json::array({json{{"address", "10.0.0.2/24"}, {"interface", index}}})}};
    EXPECT_EQ(Result::from_json(text, "1.0.0").ips.at(0).interface, std::nullopt) << index;
  }
}

TEST(Result, ReadsWhatTheReferenceLeaksIntoOlderVersions) {
  const json text{{"routes", json::array({json{{"dst", "0.0.0.0/0"}, {"priority", 7}, {"table", 0}}})}};
  const Result result = Result::from_json(text, "0.4.0");
  EXPECT_EQ(result.routes.at(0).priority, 7U);
  EXPECT_EQ(result.routes.at(0).table, 0U);
  EXPECT_EQ(result.to_json("1.0.0")["routes"], json::array({json{{"dst", "0.0.0.0/0"}}}));
}

TEST(Result, RefusesWhatIsNotAResult) {
  const json ip = {{"address", "10.0.0.2/24"}};
  const std::vector<std::pair<std::string, json>> broken{
      {"1.0.0", "text"},
      {"1.0.0", json::array()},
      {"1.0.0", nullptr},
      {"1.0.0", {{"cniVersion", 1}}},
      {"1.0.0", {{"interfaces", json::object()}}},
      {"1.0.0", {{"interfaces", json::array({"eth0"})}}},
      {"1.0.0", {{"interfaces", json::array({json{{"name", 1}}})}}},
      {"1.1.0", {{"interfaces", json::array({json{{"mtu", -1}}})}}},
      {"1.0.0", {{"ips", ip}}},
      {"1.0.0", {{"ips", json::array({json::object()})}}},
      {"1.0.0", {{"ips", json::array({json{{"address", "10.0.0.2"}}})}}},
      {"1.0.0", {{"ips", json::array({json{{"address", "10.0.0.2/24"}, {"gateway", "x"}}})}}},
      {"1.0.0", {{"ips", json::array({json{{"address", "10.0.0.2/24"}, {"interface", "0"}}})}}},
      {"1.0.0", {{"ips", json::array({json{{"address", "10.0.0.2/24"}, {"interface", 1LL << 40}}})}}},
      {"1.0.0", {{"routes", json::array({json::object()})}}},
      {"1.0.0", {{"dns", "10.0.0.1"}}},
      {"1.0.0", {{"netctl", 1}}},
      {"0.2.0", {{"ip4", json::object()}}},
      {"0.2.0", {{"ip4", json{{"ip", "fd00::1/64"}}}}},
      {"0.2.0", {{"ip6", json{{"ip", "10.0.0.1/8"}}}}},
      {"0.2.0", {{"ip4", json::array({ip})}}},
  };
  for (const auto& [version, text] : broken) {
    const Error error =
        error_of([&, version = version, text = text] { return Result::from_json(text, version); });
    EXPECT_EQ(error.code(), ErrorCode::kDecode) << text;
  }
}

TEST(Result, ForgetsRoutesOfAFamilyWithoutAddressInTheOldestShape) {
  const json text{{"ips", json::array({json{{"address", "10.0.0.2/24"}}})},
                  {"routes", json::array({json{{"dst", "::/0"}}})}};
  const json expected{{"cniVersion", "0.2.0"}, {"ip4", {{"ip", "10.0.0.2/24"}}}, {"dns", json::object()}};
  EXPECT_EQ(Result::from_json(text, "1.0.0").to_json("0.2.0"), expected);
}

TEST(Result, IsWrittenForSupportedVersionsOnly) {
  EXPECT_EQ(error_of([] { return Result{}.to_json("1.2.0"); }).code(), ErrorCode::kInternal);
  EXPECT_EQ(error_of([] { return Result::from_json(json::object(), ""); }).code(), ErrorCode::kInternal);
}

TEST(ParseRoute, ReadsAllKeysOfAConfiguration) {
  const ResultRoute route = parse_route({{"dst", "10.0.0.0/8"},
                                         {"gw", "10.0.0.1"},
                                         {"mtu", 1400},
                                         {"advmss", 1300},
                                         {"priority", 4294967295U},
                                         {"table", 4294967295U},
                                         {"scope", 255}},
                                        "ipam.routes[0]");
  EXPECT_EQ(route.destination, IpPrefix::parse("10.0.0.0/8"));
  EXPECT_EQ(route.gateway, IpAddress::parse("10.0.0.1"));
  EXPECT_EQ(route.mtu_bytes, 1400U);
  EXPECT_EQ(route.advertised_mss_bytes, 1300U);
  EXPECT_EQ(route.priority, 4294967295U);
  EXPECT_EQ(route.table, 4294967295U);
  EXPECT_EQ(route.scope, 255);
}

TEST(ParseRoute, TellsZeroFromAbsentOnlyWhereItMeansSomething) {
  const ResultRoute route = parse_route(
      {{"dst", "::/0"}, {"gw", ""}, {"mtu", 0}, {"advmss", 0}, {"priority", 0}, {"table", 0}, {"scope", 0}},
      "r");
  EXPECT_FALSE(route.gateway || route.mtu_bytes || route.advertised_mss_bytes || route.priority);
  EXPECT_EQ(route.table, 0U);
  EXPECT_EQ(route.scope, std::uint8_t{0});
}

TEST(ParseRoute, NamesThePlace) {
  const auto message_of = [](const json& route) {
    const Error error = error_of([&] { return parse_route(route, "ipam.routes[2]"); });
    EXPECT_EQ(error.code(), ErrorCode::kInvalidConfig);
    return error.message();
  };
  EXPECT_THAT(message_of("default"), HasSubstr("ipam.routes[2]: must be an object"));
  EXPECT_THAT(message_of(json::object()), HasSubstr("ipam.routes[2].dst: is missing"));
  EXPECT_THAT(message_of({{"dst", "default"}}), HasSubstr("ipam.routes[2].dst: must be in CIDR notation"));
  EXPECT_THAT(message_of({{"dst", "::/0"}, {"gw", 1}}), HasSubstr("ipam.routes[2].gw"));
  EXPECT_THAT(message_of({{"dst", "::/0"}, {"scope", 256}}), HasSubstr("ipam.routes[2].scope"));
  EXPECT_THAT(message_of({{"dst", "::/0"}, {"table", 1LL << 32}}), HasSubstr("ipam.routes[2].table"));
}

TEST(ParseDns, ReadsAndComplains) {
  const Dns dns = parse_dns(
      {{"nameservers", {"10.0.0.1"}}, {"domain", "d"}, {"search", {"s"}}, {"options", {"o"}}}, "dns");
  EXPECT_EQ(dns, (Dns{{"10.0.0.1"}, {"s"}, {"o"}, "d"}));
  EXPECT_TRUE(parse_dns(json::object(), "dns").is_empty());
  EXPECT_THAT(error_of([] {
                return parse_dns({{"search", "s"}}, "dns");
              }).message(),
              HasSubstr("dns.search"));
}

TEST(Result, OfAPluginIsOfTheVersionThatItNames) {
  const nlohmann::json old{{"cniVersion", "0.2.0"}, {"ip4", {{"ip", "10.0.0.2/24"}}}};
  EXPECT_EQ(Result::from_plugin(old, "1.0.0").ips.size(), 1U);
  const nlohmann::json unnamed{{"ips", {{{"address", "10.0.0.2/24"}}}}};
  EXPECT_EQ(Result::from_plugin(unnamed, "1.0.0").ips.size(), 1U);
  for (const nlohmann::json& bad :
       {nlohmann::json{{"cniVersion", "7.0.0"}}, nlohmann::json{{"cniVersion", 7}}, nlohmann::json::array(),
        nlohmann::json(nullptr)}) {
    EXPECT_THROW(static_cast<void>(Result::from_plugin(bad, "1.0.0")), Error) << bad;
  }
}

}  // namespace
}  // namespace netctl::cni
