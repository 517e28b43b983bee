#include "plugins/cni/config_reader.hpp"

#include <gmock/gmock.h>

#include "tests/unit/cni/support.hpp"

namespace netctl::cni {
namespace {

using nlohmann::json;
using test::error_of;
using testing::HasSubstr;

const json kOneOfEachType{nullptr, true, 7, -7, 1.5, "text", json::array({1}), json{{"a", 1}}};

/// Reads every type of value with `get`: exactly those at `accepted` (indices of kOneOfEachType; 0 reads as absent) pass.
template <typename Get>
void expect_types(const std::vector<std::size_t>& accepted, Get get) {
  for (std::size_t i = 0; i < kOneOfEachType.size(); ++i) {
    const json object{{"key", kOneOfEachType[i]}};
    const ConfigReader reader(object, "path");
    const bool is_accepted = std::find(accepted.begin(), accepted.end(), i) != accepted.end();
    if (is_accepted) {
      EXPECT_NO_THROW(get(reader)) << object;
    } else {
      const Error error = error_of([&] { get(reader); });
      EXPECT_EQ(error.code(), ErrorCode::kInvalidConfig) << object;
      EXPECT_THAT(error.message(), HasSubstr("path.key")) << object;
    }
  }
}

TEST(ConfigReader, RefusesOtherTypesInEveryGetter) {
  expect_types({0, 5}, [](const ConfigReader& r) { return r.text("key").has_value(); });
  expect_types({0, 1}, [](const ConfigReader& r) { return r.boolean("key").has_value(); });
  expect_types({0, 2, 3}, [](const ConfigReader& r) { return r.integer("key", -10, 10).has_value(); });
  expect_types({0}, [](const ConfigReader& r) { return r.address("key").has_value(); });
  expect_types({0}, [](const ConfigReader& r) { return r.prefix("key").has_value(); });
  expect_types({0}, [](const ConfigReader& r) { return r.mac("key").has_value(); });
  expect_types({0}, [](const ConfigReader& r) { return r.texts("key").size(); });
  expect_types({0, 7}, [](const ConfigReader& r) { return r.object("key").has_value(); });
  expect_types({0}, [](const ConfigReader& r) { r.each_object("key", [](const ConfigReader&) {}); });
}

TEST(ConfigReader, ReadsNullAndAbsentAlike) {
  const json object{{"null", nullptr}};
  const ConfigReader reader(object, "");
  for (const char* key : {"null", "absent"}) {
    EXPECT_FALSE(reader.has(key));
    EXPECT_EQ(reader.raw(key), nullptr);
    EXPECT_FALSE(reader.text(key) || reader.boolean(key) || reader.integer(key, 0, 1) ||
                 reader.address(key) || reader.prefix(key) || reader.mac(key) ||
                 reader.object(key).has_value());
    EXPECT_TRUE(reader.texts(key).empty());
  }
  const json nothing;
  EXPECT_FALSE(ConfigReader(nothing, "").has("key"));
  EXPECT_TRUE(ConfigReader(nothing, "").unknown_keys({}).empty());
}

TEST(ConfigReader, RefusesWhatIsNotAnObject) {
  const json list = json::array();
  EXPECT_THAT(error_of([&] { ConfigReader(list, "ipam"); }).message(),
              HasSubstr("ipam: must be an object, not array"));
}

TEST(ConfigReader, ReadsWholeNumbersInTheirRange) {
  const json object{{"low", -5}, {"high", 5}, {"huge", UINT64_MAX}, {"whole", 3.0}, {"text", "3"}};
  const ConfigReader reader(object, "");
  EXPECT_EQ(reader.integer("low", -5, 5), -5);
  EXPECT_EQ(reader.integer("high", -5, 5), 5);
  for (const char* key : {"huge", "whole", "text"}) {
    EXPECT_THAT(error_of([&] { return reader.integer(key, INT64_MIN, INT64_MAX); }).message(),
                HasSubstr(std::string(key) + ": must be a whole number"));
  }
  EXPECT_THAT(error_of([&] { return reader.integer("low", -4, 5); }).message(), HasSubstr("from -4 to 5"));
  EXPECT_THAT(error_of([&] { return reader.integer("high", -5, 4); }).details(), "5");
}

TEST(ConfigReader, ReadsAddresses) {
  const json object{
      {"a", "10.0.0.1"}, {"p", "fd00::1/64"}, {"m", "02:00:00:00:00:01"}, {"empty", ""}, {"bad", "x"}};
  const ConfigReader reader(object, "");
  EXPECT_EQ(reader.address("a"), IpAddress::parse("10.0.0.1"));
  EXPECT_EQ(reader.prefix("p"), IpPrefix::parse("fd00::1/64"));
  EXPECT_EQ(reader.mac("m"), MacAddress::parse("02:00:00:00:00:01"));
  EXPECT_FALSE(reader.address("empty"));
  EXPECT_FALSE(reader.mac("empty"));
  EXPECT_THAT(error_of([&] { return reader.prefix("empty"); }).message(), HasSubstr("CIDR"));
  EXPECT_THAT(error_of([&] { return reader.address("bad"); }).message(), HasSubstr("IP address"));
  EXPECT_THAT(error_of([&] { return reader.address("p"); }).message(), HasSubstr("IP address"));
  EXPECT_THAT(error_of([&] { return reader.prefix("a"); }).message(), HasSubstr("CIDR"));
  EXPECT_THAT(error_of([&] { return reader.mac("bad"); }).message(), HasSubstr("MAC address"));
}

TEST(ConfigReader, RefusesNulInTexts) {
  const json object{{"a", std::string("x\0y", 3)}, {"b", json::array({std::string("\0", 1)})}};
  const ConfigReader reader(object, "");
  EXPECT_THAT(error_of([&] { return reader.text("a"); }).message(), HasSubstr("NUL"));
  EXPECT_THAT(error_of([&] { return reader.texts("b"); }).message(), HasSubstr("b[0]"));
}

TEST(ConfigReader, MatchesKeysInAnyCaseOnlyWhenAsked) {
  const json object{
      {"HostPort", 80}, {"Inner", {{"IP", "10.0.0.1"}}}, {"list", json::array({{{"Key", "v"}}})}};
  EXPECT_FALSE(ConfigReader(object, "").has("hostPort"));
  const ConfigReader reader(object, "", KeyCase::kIgnore);
  EXPECT_EQ(reader.integer("hostport", 0, 100), 80);
  EXPECT_TRUE(reader.object("inner")->address("ip"));
  int visited = 0;
  reader.each_object("LIST", [&](const ConfigReader& one) { visited += one.text("key") == "v" ? 1 : 0; });
  EXPECT_EQ(visited, 1);
  const json both{{"MAC", "other"}, {"mac", "exact"}, {"Dns", "given"}, {"dns", nullptr}};
  EXPECT_EQ(ConfigReader(both, "", KeyCase::kIgnore).text("mac"), "exact");
  EXPECT_EQ(ConfigReader(both, "", KeyCase::kIgnore).text("dns"), "given") << "null is absent";
}

TEST(ConfigReader, NamesThePlaceInNestedLists) {
  const json object{{"ranges", json::array({json{{"subnet", "10.0.0.0/8"}}, json{{"subnet", 5}}})}};
  const ConfigReader reader(object, "ipam");
  const auto visit = [&] {
    reader.each_object("ranges", [](const ConfigReader& one) { EXPECT_TRUE(one.prefix("subnet")); });
  };
  EXPECT_THAT(error_of(visit).message(), HasSubstr("ipam.ranges[1].subnet: must be a string, not number"));
  const json wrong{{"ranges", json::array({nullptr})}};
  const auto visit_null = [&] {
    ConfigReader(wrong, "ipam").each_object("ranges", [](const ConfigReader&) {});
  };
  EXPECT_THAT(error_of(visit_null).message(), HasSubstr("ipam.ranges[0]: must be an object, not null"));
}

TEST(ConfigReader, NamesUnknownKeys) {
  const json object{{"a", 1}, {"B", 1}, {"c", 1}};
  EXPECT_THAT(ConfigReader(object, "").unknown_keys({"a", "b"}), testing::ElementsAre("B", "c"));
  EXPECT_THAT(ConfigReader(object, "", KeyCase::kIgnore).unknown_keys({"a", "b"}), testing::ElementsAre("c"));
}

TEST(ConfigReader, ComplainsWithTheValue) {
  const json object{{"mode", std::string(1000, 'x')}};
  const Error error = error_of([&] { ConfigReader(object, "a.b").complain("mode", "is too long"); });
  EXPECT_EQ(error.message(), "a.b.mode: is too long");
  EXPECT_LT(error.details().size(), 300U);
  EXPECT_EQ(error_of([&] { ConfigReader(object, "").complain("gone", "is missing"); }).details(), "");
}

}  // namespace
}  // namespace netctl::cni
