// Every pair of versions: a result written for one and read is written for the other with exactly what both can say.

#include <array>
#include <tuple>

#include <gtest/gtest.h>

#include "plugins/cni/result.hpp"
#include "plugins/cni/version.hpp"

namespace netctl::cni {
namespace {

// How much a version can say, and how it says it. 0.3.0 to 0.4.0 and 1.0.0 say the same but for our own additions.
enum Content { kFamilies, kLists, kListsAndOurs, kEverything };
enum Shape { kOldest, kWithVersionOfIp, kNew };

struct Golden {
  Content content;
  Shape shape;
  const char* text;
};

constexpr std::array<Golden, 7> kGolden{{
    {kFamilies, kOldest, R"({
      "ip4": {"ip": "10.1.0.5/16", "gateway": "10.1.0.1",
              "routes": [{"dst": "0.0.0.0/0"}, {"dst": "192.0.2.0/24", "gw": "10.1.0.9"}]},
      "ip6": {"ip": "fd00::5/64", "gateway": "fd00::1", "routes": [{"dst": "::/0", "gw": "fd00::1"}]},
      "dns": {"nameservers": ["10.1.0.1"], "domain": "example.test", "search": ["a.test"], "options": ["ndots:5"]}})"},
    {kFamilies, kWithVersionOfIp, R"({
      "ips": [{"version": "4", "address": "10.1.0.5/16", "gateway": "10.1.0.1"},
              {"version": "6", "address": "fd00::5/64", "gateway": "fd00::1"}],
      "routes": [{"dst": "0.0.0.0/0"}, {"dst": "192.0.2.0/24", "gw": "10.1.0.9"}, {"dst": "::/0", "gw": "fd00::1"}],
      "dns": {"nameservers": ["10.1.0.1"], "domain": "example.test", "search": ["a.test"], "options": ["ndots:5"]}})"},
    {kFamilies, kNew, R"({
      "ips": [{"address": "10.1.0.5/16", "gateway": "10.1.0.1"}, {"address": "fd00::5/64", "gateway": "fd00::1"}],
      "routes": [{"dst": "0.0.0.0/0"}, {"dst": "192.0.2.0/24", "gw": "10.1.0.9"}, {"dst": "::/0", "gw": "fd00::1"}],
      "dns": {"nameservers": ["10.1.0.1"], "domain": "example.test", "search": ["a.test"], "options": ["ndots:5"]}})"},
    {kLists, kWithVersionOfIp, R"({
      "interfaces": [{"name": "cni0", "mac": "02:00:00:00:00:01"},
                     {"name": "eth0", "mac": "02:00:00:00:00:02", "sandbox": "/run/netns/a"}],
      "ips": [{"version": "4", "interface": 1, "address": "10.1.0.5/16", "gateway": "10.1.0.1"},
              {"version": "4", "interface": 1, "address": "10.1.0.6/16"},
              {"version": "6", "interface": 1, "address": "fd00::5/64", "gateway": "fd00::1"}],
      "routes": [{"dst": "0.0.0.0/0"}, {"dst": "192.0.2.0/24", "gw": "10.1.0.9"}, {"dst": "::/0", "gw": "fd00::1"}],
      "dns": {"nameservers": ["10.1.0.1"], "domain": "example.test", "search": ["a.test"], "options": ["ndots:5"]}})"},
    {kLists, kNew, R"({
      "interfaces": [{"name": "cni0", "mac": "02:00:00:00:00:01"},
                     {"name": "eth0", "mac": "02:00:00:00:00:02", "sandbox": "/run/netns/a"}],
      "ips": [{"interface": 1, "address": "10.1.0.5/16", "gateway": "10.1.0.1"},
              {"interface": 1, "address": "10.1.0.6/16"},
              {"interface": 1, "address": "fd00::5/64", "gateway": "fd00::1"}],
      "routes": [{"dst": "0.0.0.0/0"}, {"dst": "192.0.2.0/24", "gw": "10.1.0.9"}, {"dst": "::/0", "gw": "fd00::1"}],
      "dns": {"nameservers": ["10.1.0.1"], "domain": "example.test", "search": ["a.test"], "options": ["ndots:5"]}})"},
    {kListsAndOurs, kNew, R"({
      "interfaces": [{"name": "cni0", "mac": "02:00:00:00:00:01"},
                     {"name": "eth0", "mac": "02:00:00:00:00:02", "sandbox": "/run/netns/a"}],
      "ips": [{"interface": 1, "address": "10.1.0.5/16", "gateway": "10.1.0.1"},
              {"interface": 1, "address": "10.1.0.6/16"},
              {"interface": 1, "address": "fd00::5/64", "gateway": "fd00::1"}],
      "routes": [{"dst": "0.0.0.0/0"}, {"dst": "192.0.2.0/24", "gw": "10.1.0.9"}, {"dst": "::/0", "gw": "fd00::1"}],
      "dns": {"nameservers": ["10.1.0.1"], "domain": "example.test", "search": ["a.test"], "options": ["ndots:5"]},
      "netctl": {"version": 1}})"},
    {kEverything, kNew, R"({
      "interfaces": [{"name": "cni0", "mac": "02:00:00:00:00:01", "mtu": 1500},
                     {"name": "eth0", "mac": "02:00:00:00:00:02", "sandbox": "/run/netns/a", "mtu": 1400,
                      "socketPath": "/run/vhost", "pciID": "0000:00:1f.6"}],
      "ips": [{"interface": 1, "address": "10.1.0.5/16", "gateway": "10.1.0.1"},
              {"interface": 1, "address": "10.1.0.6/16"},
              {"interface": 1, "address": "fd00::5/64", "gateway": "fd00::1"}],
      "routes": [{"dst": "0.0.0.0/0", "mtu": 1300, "advmss": 1200, "priority": 5, "table": 0, "scope": 0},
                 {"dst": "192.0.2.0/24", "gw": "10.1.0.9", "table": 100, "scope": 253},
                 {"dst": "::/0", "gw": "fd00::1"}],
      "dns": {"nameservers": ["10.1.0.1"], "domain": "example.test", "search": ["a.test"], "options": ["ndots:5"]},
      "netctl": {"version": 1}})"},
}};

Content content_of(const std::string& version) {
  if (version == "1.1.0") return kEverything;
  if (version == "1.0.0") return kListsAndOurs;
  return at_least(version, "0.3.0") ? kLists : kFamilies;
}

Shape shape_of(const std::string& version) {
  if (at_least(version, "1.0.0")) return kNew;
  return at_least(version, "0.3.0") ? kWithVersionOfIp : kOldest;
}

nlohmann::json golden(Content content, const std::string& version) {
  for (const auto& one : kGolden) {
    if (one.content != content || one.shape != shape_of(version)) continue;
    auto json = nlohmann::json::parse(one.text);
    json["cniVersion"] = version;
    return json;
  }
  ADD_FAILURE() << "no golden text";
  return nullptr;
}

class ResultConversion : public testing::TestWithParam<std::tuple<std::string, std::string>> {};

TEST_P(ResultConversion, KeepsWhatBothVersionsCanSay) {
  const auto& [from, to] = GetParam();
  const Result result = Result::from_json(golden(content_of(from), from), from);
  EXPECT_EQ(result.to_json(to), golden(std::min(content_of(from), content_of(to)), to));
}

std::string name_of(const testing::TestParamInfo<std::tuple<std::string, std::string>>& info) {
  std::string name = std::get<0>(info.param) + "_to_" + std::get<1>(info.param);
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(AllPairs, ResultConversion,
                         testing::Combine(testing::ValuesIn(supported_versions()),
                                          testing::ValuesIn(supported_versions())),
                         name_of);

}  // namespace
}  // namespace netctl::cni
