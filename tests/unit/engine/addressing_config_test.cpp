#include <gmock/gmock.h>

#include "plugins/engine/ipam_config.hpp"
#include "tests/unit/cni/support.hpp"
#include "tests/unit/engine/sample.hpp"

namespace netctl::engine {
namespace {

using cni::test::error_of;
using nlohmann::json;
using sample::address;
using sample::invocation;
using sample::prefix;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

AddressingSpec read(const json& config) {
  const cni::Invocation call = invocation(config);
  return read_addressing(call, cni::read_runtime_config(call));
}

/// The `ipam` block of our own pool with these keys beside.
json pool_with(const std::string& keys) {
  json ipam = json::parse(keys);
  ipam["type"] = "host-local";
  return {{"ipam", ipam}};
}

TEST(Addressing, IsNoneWithoutAType) {
  for (const char* config : {"{}", R"({"ipam": null})", R"({"ipam": {}})", R"({"ipam": {"type": ""}})",
                             R"({"ipam": {"subnet": "10.1.0.0/24"}})"}) {
    EXPECT_EQ(read(json::parse(config)).kind, Addressing::kNone) << config;
  }
}

TEST(Addressing, LeavesOtherTypesToTheirExecutable) {
  const AddressingSpec spec =
      read(json::parse(R"({"ipam": {"type": "dhcp", "subnet": 5, "routes": "theirs"}})"));
  EXPECT_EQ(spec.kind, Addressing::kDelegate);
  EXPECT_EQ(spec.delegate, "dhcp");
}

TEST(Addressing, TakesTheReferencesDefaults) {
  const AddressingSpec spec = read(pool_with("{}"));
  EXPECT_EQ(spec.kind, Addressing::kPool);
  EXPECT_EQ(spec.data_directory, "/var/lib/cni/networks");
  EXPECT_THAT(spec.sets, IsEmpty());
  EXPECT_THAT(spec.exclude, IsEmpty());
  EXPECT_THAT(spec.wanted, IsEmpty());
  EXPECT_THAT(spec.routes, IsEmpty());
  EXPECT_TRUE(spec.dns.is_empty());
}

TEST(Addressing, ReadsTheOldFormOfOneRange) {
  const AddressingSpec spec = read(pool_with(R"({"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.20",
      "rangeEnd": "10.1.0.30", "gateway": "10.1.0.254", "dataDir": "/run/pools"})"));
  EXPECT_EQ(spec.data_directory, "/run/pools");
  ASSERT_EQ(spec.sets.size(), 1U);
  ASSERT_EQ(spec.sets.front().size(), 1U);
  const ipam::RangeSpec& range = spec.sets.front().front();
  EXPECT_EQ(range.subnet, prefix("10.1.0.0/24"));
  EXPECT_EQ(range.range_start, address("10.1.0.20"));
  EXPECT_EQ(range.range_end, address("10.1.0.30"));
  EXPECT_EQ(range.gateway, address("10.1.0.254"));
}

TEST(Addressing, ReadsSetsOfTheRuntimeThenTheOldFormThenTheList) {
  json config = pool_with(R"({"subnet": "10.2.0.0/24", "ranges": [
      [{"subnet": "10.3.0.0/24"}, {"subnet": "10.4.0.0/24"}], [{"subnet": "fd00:3::/64", "gateway": "fd00:3::9"}]]})");
  config["runtimeConfig"] =
      json::parse(R"({"ipRanges": [[{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.7"}]]})");
  std::vector<std::vector<std::string>> subnets;
  const AddressingSpec spec = read(config);
  for (const auto& set : spec.sets) {
    subnets.emplace_back();
    for (const ipam::RangeSpec& range : set) subnets.back().push_back(range.subnet.to_string());
  }
  EXPECT_THAT(subnets, ElementsAre(ElementsAre("10.1.0.0/24"), ElementsAre("10.2.0.0/24"),
                                   ElementsAre("10.3.0.0/24", "10.4.0.0/24"), ElementsAre("fd00:3::/64")));
  EXPECT_EQ(spec.sets[0][0].range_start, address("10.1.0.7"));
  EXPECT_EQ(spec.sets[3][0].gateway, address("fd00:3::9"));
}

TEST(Addressing, ReadsRoutesExclusionsAndWantedAddresses) {
  json config =
      pool_with(R"({"routes": [{"dst": "0.0.0.0/0"}, {"dst": "fd00::/8", "gw": "fd00::1", "mtu": 1300}]})");
  config["netctl"] = json::parse(R"({"exclude": ["10.1.0.0/28", "10.1.0.99", "fd00::/120"]})");
  config["runtimeConfig"] = json::parse(R"({"ips": ["10.1.0.5/24", "fd00::5"]})");
  const AddressingSpec spec = read(config);
  ASSERT_EQ(spec.routes.size(), 2U);
  EXPECT_EQ(spec.routes[0].destination, prefix("0.0.0.0/0"));
  EXPECT_FALSE(spec.routes[0].gateway);
  EXPECT_EQ(spec.routes[1].gateway, address("fd00::1"));
  EXPECT_EQ(spec.routes[1].mtu_bytes, 1300U);
  EXPECT_THAT(sample::texts(spec.exclude), ElementsAre("10.1.0.0/28", "10.1.0.99/32", "fd00::/120"));
  EXPECT_THAT(spec.wanted, ElementsAre(address("10.1.0.5"), address("fd00::5")));
}

TEST(Addressing, ReadsAResolvConf) {
  const cni::test::TemporaryFolder folder;
  cni::test::write_file(
      folder / "resolv.conf",
      "# comment\nnameserver 10.1.0.53 ; trailing\n\tnameserver\tfd00::53\n"
      "domain example.org\nsearch a.example b.example\noptions ndots:2 rotate\n;nameserver 192.0.2.1\n"
      "sortlist 10.0.0.0\nnameserver\n");
  const cni::Dns dns = read(pool_with(json{{"resolvConf", folder / "resolv.conf"}}.dump())).dns;
  EXPECT_THAT(dns.nameservers, ElementsAre("10.1.0.53", "fd00::53"));
  EXPECT_EQ(dns.domain, "example.org");
  EXPECT_THAT(dns.search, ElementsAre("a.example", "b.example"));
  EXPECT_THAT(dns.options, ElementsAre("ndots:2", "rotate"));
}

TEST(Addressing, GivesOldVersionsOneAddressAFamily) {
  json config = pool_with(R"({"ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "10.2.0.0/24"}]]})");
  EXPECT_EQ(read(config).sets.size(), 2U);
  config["cniVersion"] = "0.2.0";
  const Error error = error_of([&] { (void)read(config); });
  EXPECT_EQ(error.code(), ErrorCode::kInvalidConfig);
  EXPECT_THAT(error.message(), HasSubstr("0.2.0 does not support more than 1 address per family"));
  config["ipam"]["ranges"][1] = json::parse(R"([{"subnet": "fd00::/64"}])");
  EXPECT_EQ(read(config).sets.size(), 2U);
}

TEST(Addressing, NamesTheKeyThatIsWrong) {
  const struct {
    const char* ipam;
    const char* named;
  } cases[] = {
      {"5", "ipam: "},
      {R"("host-local")", "ipam: "},
      {R"({"type": 5})", "ipam.type: "},
      {R"({"type": "../evil"})", "ipam.type: "},
      {R"({"type": "host-local", "dataDir": 5})", "ipam.dataDir: "},
      {R"({"type": "host-local", "subnet": 5})", "ipam.subnet: "},
      {R"({"type": "host-local", "subnet": "10.1.0.0"})", "ipam.subnet: "},
      {R"({"type": "host-local", "subnet": "10.1.0.0/33"})", "ipam.subnet: "},
      {R"({"type": "host-local", "subnet": "10.1.0.0/24", "rangeStart": "x"})", "ipam.rangeStart: "},
      {R"({"type": "host-local", "subnet": "10.1.0.0/24", "rangeEnd": "10.1.0.0/24"})", "ipam.rangeEnd: "},
      {R"({"type": "host-local", "subnet": "10.1.0.0/24", "gateway": false})", "ipam.gateway: "},
      {R"({"type": "host-local", "ranges": {}})", "ipam.ranges: "},
      {R"({"type": "host-local", "ranges": [5]})", "ipam.ranges[0]: "},
      {R"({"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/24"}], {}]})", "ipam.ranges[1]: "},
      {R"({"type": "host-local", "ranges": [[]]})", "ipam.ranges[0]: "},
      {R"({"type": "host-local", "ranges": [[5]]})", "ipam.ranges[0][0]: "},
      {R"({"type": "host-local", "ranges": [[{}]]})", "ipam.ranges[0][0].subnet: "},
      {R"({"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/24"}, {"subnet": "x"}]]})",
       "ipam.ranges[0][1].subnet: "},
      {R"({"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/24", "gateway": "x"}]]})",
       "ipam.ranges[0][0].gateway: "},
      {R"({"type": "host-local", "routes": "x"})", "ipam.routes: "},
      {R"({"type": "host-local", "routes": [5]})", "ipam.routes[0]"},
      {R"({"type": "host-local", "routes": [{"dst": "0.0.0.0/0"}, {"dst": "x"}]})", "ipam.routes[1].dst: "},
      {R"({"type": "host-local", "routes": [{"gw": "10.1.0.1"}]})", "ipam.routes[0].dst: "},
      {R"({"type": "host-local", "routes": [{"dst": "0.0.0.0/0", "gw": "x"}]})", "ipam.routes[0].gw: "},
      {R"({"type": "host-local", "resolvConf": 5})", "ipam.resolvConf: "},
      {R"({"type": "host-local", "resolvConf": "/nonexistent/resolv.conf"})", "ipam.resolvConf: "},
      {R"({"type": "host-local", "resolvConf": "/"})", "ipam.resolvConf: "},
  };
  for (const auto& one : cases) {
    const Error error = error_of([&] { (void)read({{"ipam", json::parse(one.ipam)}}); });
    EXPECT_EQ(error.code(), ErrorCode::kInvalidConfig) << one.ipam;
    EXPECT_THAT(error.message(), HasSubstr(one.named)) << one.ipam;
  }
}

TEST(Addressing, NamesTheKeyBesideIpamThatIsWrong) {
  const struct {
    const char* key;
    const char* value;
    const char* named;
  } cases[] = {
      {"netctl", R"({"exclude": ["10.1.0.0/24", "x"]})", "netctl.exclude: "},
      {"netctl", R"({"exclude": "10.1.0.0/24"})", "netctl.exclude: "},
      {"netctl", R"({"exclude": [5]})", "netctl.exclude: "},
      {"netctl", "[]", "netctl: "},
      {"runtimeConfig", R"({"ipRanges": [[{"subnet": "x"}]]})", "runtimeConfig.ipRanges[0][0].subnet: "},
      {"runtimeConfig", R"({"ipRanges": [5]})", "runtimeConfig.ipRanges: "},
      {"runtimeConfig", R"({"ips": ["x"]})", "runtimeConfig.ips: "},
  };
  for (const auto& one : cases) {
    json config = pool_with("{}");
    config[one.key] = json::parse(one.value);
    const Error error = error_of([&] { (void)read(config); });
    EXPECT_EQ(error.code(), ErrorCode::kInvalidConfig) << one.value;
    EXPECT_THAT(error.message(), HasSubstr(one.named)) << one.value;
  }
}

}  // namespace
}  // namespace netctl::engine
