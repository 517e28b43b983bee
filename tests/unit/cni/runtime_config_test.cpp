#include "plugins/cni/runtime_config.hpp"

#include <gmock/gmock.h>

#include "tests/unit/cni/support.hpp"

namespace netctl::cni {
namespace {

using nlohmann::json;
using test::error_of;
using testing::ElementsAre;
using testing::HasSubstr;

RuntimeConfig read(const std::string& config, const std::string& args = "") {
  Invocation invocation;
  invocation.network = "mine";
  invocation.config = json::parse(config);
  invocation.args = Args::parse(args);
  return read_runtime_config(invocation);
}

RuntimeConfig read_mapping(const std::string& mapping) {
  return read(R"({"runtimeConfig": {"portMappings": [)" + mapping + "]}}");
}

std::vector<std::string> texts(const std::vector<IpPrefix>& prefixes) {
  std::vector<std::string> texts;
  for (const auto& prefix : prefixes) texts.push_back(prefix.to_string());
  return texts;
}

TEST(RuntimeConfig, IsEmptyWithoutAnything) {
  for (const char* config : {"{}", R"({"runtimeConfig": null, "args": null})",
                             R"({"runtimeConfig": {}, "args": {}})", R"({"args": {"cni": null}})"}) {
    const RuntimeConfig read_config = read(config);
    EXPECT_TRUE(read_config.port_mappings.empty() && read_config.ips.empty() && read_config.aliases.empty() &&
                read_config.ip_ranges.empty() && read_config.labels.empty() &&
                read_config.container_name.empty());
    EXPECT_FALSE(read_config.mac || read_config.dns);
  }
}

TEST(RuntimeConfig, ReadsWhatContainerdWrites) {
  const RuntimeConfig config = read(R"({"runtimeConfig": {
      "bandwidth": {"IngressRate": 10000000, "IngressBurst": 4294967295},
      "dns": {"Servers": ["10.96.0.10"], "Searches": ["svc.local"], "Options": null},
      "io.kubernetes.cri.pod-annotations": {"kubernetes.io/egress-bandwidth": "20M"},
      "portMappings": [{"HostPort": 8080, "ContainerPort": 80, "Protocol": "tcp", "HostIP": ""},
                       {"HostPort": 5353, "ContainerPort": 53, "Protocol": "UDP", "HostIP": "127.0.0.1"}]}})",
                                    "K8S_POD_NAME=p1;K8S_POD_INFRA_CONTAINER_ID=b05e;IgnoreUnknown=1;"
                                    "K8S_POD_NAMESPACE=default");
  ASSERT_EQ(config.port_mappings.size(), 2U);
  EXPECT_FALSE(config.port_mappings[0].host_ip);
  EXPECT_EQ(config.port_mappings[0].host_port, 8080);
  EXPECT_EQ(config.port_mappings[0].container_port, 80);
  EXPECT_EQ(config.port_mappings[0].protocol, "tcp");
  EXPECT_EQ(config.port_mappings[0].count, 1);
  EXPECT_EQ(config.port_mappings[1].host_ip, IpAddress::parse("127.0.0.1"));
  EXPECT_EQ(config.port_mappings[1].protocol, "udp");
  EXPECT_EQ(config.dns, (Dns{{"10.96.0.10"}, {"svc.local"}, {}, ""}));
  EXPECT_EQ(config.container_name, "p1");
  EXPECT_EQ(config.labels.at("K8S_POD_NAMESPACE"), "default");
}

TEST(RuntimeConfig, ReadsWhatPodmanWrites) {
  const RuntimeConfig config = read(R"({"runtimeConfig": {
      "aliases": {"mine": ["9c7108f6e4a3", "web"], "other": ["x"]},
      "portMappings": [{"hostPort": 8090, "containerPort": 80, "protocol": "tcp"},
                       {"hostPort": 9000, "containerPort": 9100, "protocol": "tcp,udp", "range": 3}]}})",
                                    "IgnoreUnknown=1;K8S_POD_NAME=w2;MAC=02:11:22:33:44:55;IP=10.90.0.50");
  EXPECT_THAT(config.aliases, ElementsAre("9c7108f6e4a3", "web"));
  ASSERT_EQ(config.port_mappings.size(), 3U);
  EXPECT_EQ(config.port_mappings[1].protocol, "tcp");
  EXPECT_EQ(config.port_mappings[2].protocol, "udp");
  EXPECT_EQ(config.port_mappings[2].count, 3);
  EXPECT_THAT(texts(config.ips), ElementsAre("10.90.0.50/32"));
  EXPECT_EQ(config.mac, MacAddress::parse("02:11:22:33:44:55"));
}

TEST(RuntimeConfig, PrefersRuntimeConfigToArgsToEnvironmentForTheMac) {
  const std::string runtime = R"("runtimeConfig": {"mac": "02:00:00:00:00:01"})";
  const std::string args = R"("args": {"cni": {"mac": "02:00:00:00:00:02"}})";
  const std::string environment = "MAC=02:00:00:00:00:03";
  EXPECT_EQ(read("{" + runtime + "," + args + "}", environment).mac->to_string(), "02:00:00:00:00:01");
  EXPECT_EQ(read("{" + args + "}", environment).mac->to_string(), "02:00:00:00:00:02");
  EXPECT_EQ(read("{}", environment).mac->to_string(), "02:00:00:00:00:03");
  EXPECT_EQ(read(R"({"runtimeConfig": {"mac": ""}})", environment).mac->to_string(), "02:00:00:00:00:03");
  EXPECT_NO_THROW(static_cast<void>(read("{" + args + "}", "MAC=nonsense")))
      << "ignored when the configuration has one";
}

TEST(RuntimeConfig, PrefersAddressesOfTheConfigurationToTheEnvironment) {
  const std::string runtime = R"("runtimeConfig": {"ips": ["10.0.0.5/24", "fd00::5"]})";
  const std::string args = R"("args": {"cni": {"ips": ["10.0.0.6", "10.0.0.5/24"]}})";
  EXPECT_THAT(texts(read("{" + runtime + "}", "IP=10.0.0.7").ips), ElementsAre("10.0.0.5/24", "fd00::5/128"));
  EXPECT_THAT(texts(read("{" + args + "}", "IP=nonsense").ips), ElementsAre("10.0.0.6/32", "10.0.0.5/24"));
  EXPECT_THAT(texts(read("{" + runtime + "," + args + "}").ips),
              ElementsAre("10.0.0.5/24", "fd00::5/128", "10.0.0.6/32"));
  EXPECT_THAT(texts(read("{}", "IP=10.0.0.7,fd00::7/64").ips), ElementsAre("10.0.0.7/32", "fd00::7/64"));
  EXPECT_TRUE(read("{}", "IP=").ips.empty());
}

TEST(RuntimeConfig, RefusesAddressesThatDoNotParse) {
  for (const char* args : {"IP=x", "IP=10.0.0.1,", "IP=10.0.0.1/33", "MAC=x", "MAC=01:00:00:00:00:01",
                           "MAC=00:00:00:00:00:00"}) {
    EXPECT_EQ(error_of([&] { return read("{}", args); }).code(), ErrorCode::kInvalidEnvironment) << args;
  }
  for (const char* keys : {R"({"ips": "10.0.0.1"})", R"({"ips": ["x"]})", R"({"ips": [1]})",
                           R"({"mac": "x"})", R"({"mac": "03:00:00:00:00:01"})", R"({"mac": 5})"}) {
    for (const std::string& config : {std::string(R"({"runtimeConfig": )") + keys + "}",
                                      std::string(R"({"args": {"cni": )") + keys + "}}"}) {
      EXPECT_EQ(error_of([&] { return read(config); }).code(), ErrorCode::kInvalidConfig) << config;
    }
  }
}

TEST(PortMapping, HasDefaults) {
  const auto mapping =
      read_mapping(R"({"containerPort": 80, "protocol": null, "hostIP": null, "range": 0})").port_mappings[0];
  EXPECT_EQ(mapping.host_port, 0);
  EXPECT_EQ(mapping.protocol, "tcp");
  EXPECT_EQ(mapping.count, 1);
  EXPECT_FALSE(mapping.host_ip);
}

TEST(PortMapping, TakesEveryProtocolOnce) {
  const auto mappings =
      read_mapping(R"({"containerPort": 1, "protocol": "SCTP, tcp,udp,tcp"})").port_mappings;
  ASSERT_EQ(mappings.size(), 3U);
  EXPECT_EQ(mappings[0].protocol, "sctp");
}

TEST(PortMapping, GoesUpToTheLastPort) {
  EXPECT_EQ(read_mapping(R"({"hostPort": 65535, "containerPort": 65535})").port_mappings[0].host_port, 65535);
  EXPECT_EQ(read_mapping(R"({"hostPort": 65534, "containerPort": 1, "range": 2})").port_mappings[0].count, 2);
}

TEST(PortMapping, NamesTheKeyThatIsWrong) {
  for (const auto& [mapping, key] : std::vector<std::pair<std::string, std::string>>{
           {R"("8080:80")", "portMappings[0]"},
           {R"(null)", "portMappings[0]"},
           {R"({})", "containerPort"},
           {R"({"containerPort": 0})", "containerPort"},
           {R"({"containerPort": 65536})", "containerPort"},
           {R"({"containerPort": "80"})", "containerPort"},
           {R"({"containerPort": 80, "hostPort": -1})", "hostPort"},
           {R"({"containerPort": 80, "hostPort": 65536})", "hostPort"},
           {R"({"containerPort": 80, "hostPort": 80.5})", "hostPort"},
           {R"({"containerPort": 80, "hostIP": "localhost"})", "hostIP"},
           {R"({"containerPort": 80, "hostIP": 1})", "hostIP"},
           {R"({"containerPort": 80, "protocol": "icmp"})", "protocol"},
           {R"({"containerPort": 80, "protocol": "tcp,"})", "protocol"},
           {R"({"containerPort": 80, "protocol": 6})", "protocol"},
           {R"({"containerPort": 80, "range": -1})", "range"},
           {R"({"containerPort": 65535, "range": 2})", "range"},
           {R"({"containerPort": 1, "hostPort": 65535, "range": 2})", "range"}}) {
    const Error error = error_of([&, text = mapping] { return read_mapping(text); });
    EXPECT_EQ(error.code(), ErrorCode::kInvalidConfig) << mapping;
    EXPECT_THAT(error.message(), HasSubstr(key)) << mapping;
  }
}

TEST(RuntimeConfig, ReadsRanges) {
  const auto sets = read(R"({"runtimeConfig": {"ipRanges": [
      [{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.9", "rangeEnd": "10.1.0.19", "gateway": "10.1.0.254"},
       {"Subnet": "10.2.0.0/24", "RangeStart": ""}], [{"subnet": "fd00::/64"}]]}})")
                        .ip_ranges;
  ASSERT_EQ(sets.size(), 2U);
  ASSERT_EQ(sets[0].size(), 2U);
  EXPECT_EQ(sets[0][0].subnet, IpPrefix::parse("10.1.0.0/24"));
  EXPECT_EQ(sets[0][0].range_start, IpAddress::parse("10.1.0.9"));
  EXPECT_EQ(sets[0][0].range_end, IpAddress::parse("10.1.0.19"));
  EXPECT_EQ(sets[0][0].gateway, IpAddress::parse("10.1.0.254"));
  EXPECT_FALSE(sets[0][1].range_start || sets[0][1].range_end || sets[0][1].gateway);
  EXPECT_EQ(sets[1][0].subnet, IpPrefix::parse("fd00::/64"));
  for (const char* ranges : {"{}", "[{}]", "[[1]]", "[[{}]]", R"([[{"subnet": "x"}]])", "[null]", "7",
                             R"([[{"subnet": "10.0.0.0/8", "rangeEnd": "x"}]])"}) {
    const Error error =
        error_of([&] { return read(std::string(R"({"runtimeConfig": {"ipRanges": )") + ranges + "}}"); });
    EXPECT_EQ(error.code(), ErrorCode::kInvalidConfig) << ranges;
    EXPECT_THAT(error.message(), HasSubstr("runtimeConfig.ipRanges")) << ranges;
  }
}

TEST(RuntimeConfig, ReadsAliasesAsAList) {
  EXPECT_THAT(read(R"({"runtimeConfig": {"aliases": ["web", "www"]}})").aliases, ElementsAre("web", "www"));
  EXPECT_TRUE(read(R"({"runtimeConfig": {"aliases": {"other": ["x"]}}})").aliases.empty());
  for (const char* aliases : {"\"web\"", "[1]", R"({"mine": "web"})"}) {
    const auto body = [&] { return read(std::string(R"({"runtimeConfig": {"aliases": )") + aliases + "}}"); };
    EXPECT_EQ(error_of(body).code(), ErrorCode::kInvalidConfig);
  }
}

TEST(RuntimeConfig, TakesEmptyDnsForNone) {
  EXPECT_FALSE(read(R"({"runtimeConfig": {"dns": {"Servers": null, "Searches": [], "Options": null}}})").dns);
  EXPECT_EQ(error_of([] { return read(R"({"runtimeConfig": {"dns": {"servers": "10.0.0.1"}}})"); }).code(),
            ErrorCode::kInvalidConfig);
}

TEST(RuntimeConfig, FindsTheContainersName) {
  const std::string labels =
      R"({"args": {"cni": {"labels": [{"key": "name", "value": "web"}, {"key": "tier"}]}}})";
  EXPECT_EQ(read(labels).container_name, "web");
  EXPECT_EQ(read(labels).labels.at("tier"), "");
  EXPECT_EQ(read(labels, "K8S_POD_NAME=p1;IgnoreUnknown=1").container_name, "p1");
  EXPECT_EQ(read("{}").container_name, "");
  for (const char* broken :
       {R"({"args": {"cni": {"labels": [{"value": "x"}]}}})", R"({"args": {"cni": {"labels": {}}}})",
        R"({"args": {"cni": 5}})", R"({"args": "x"})", R"({"runtimeConfig": []})"}) {
    EXPECT_EQ(error_of([&] { return read(broken); }).code(), ErrorCode::kInvalidConfig) << broken;
  }
}

}  // namespace
}  // namespace netctl::cni
