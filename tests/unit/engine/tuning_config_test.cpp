#include "plugins/tuning/tuning_config.hpp"

#include <fstream>

#include <gmock/gmock.h>

#include "plugins/cni/json_text.hpp"
#include "tests/unit/cni/support.hpp"
#include "tests/unit/engine/sample.hpp"

namespace netctl::tuning {
namespace {

using cni::test::error_of;
using engine::Sysctl;
using engine::TuningRequest;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kNoFile = "/nonexistent/allowlist.conf";

TuningRequest read(const std::string& text, const std::string& args = "", const std::string& file = kNoFile) {
  cni::Invocation call = engine::sample::invocation(cni::parse_json(text, "text"));
  call.ifname = "eth0";
  call.config_text = text;
  call.args = cni::Args::parse(args);
  return read_request(call, file);
}

TEST(TuningConfig, ReadsEverySetting) {
  const TuningRequest request =
      read(R"({"sysctl": {"net.core.somaxconn": "500", "net/ipv4/conf/IFNAME/arp_filter": "1"},
      "mac": "02:00:00:00:00:01", "mtu": 1454, "promisc": true, "allmulti": false, "txQLen": 0, "dataDir": "/run/x"})");
  EXPECT_EQ(request.key, (ipam::AttachmentKey{"blue", "c1", "eth0"}));
  EXPECT_THAT(request.sysctls,
              ElementsAre(Sysctl{"core/somaxconn", "500"}, Sysctl{"ipv4/conf/IFNAME/arp_filter", "1"}));
  EXPECT_EQ(request.mac, MacAddress::parse("02:00:00:00:00:01"));
  EXPECT_EQ(request.mtu_bytes, 1454U);
  EXPECT_EQ(request.promiscuous, true);
  EXPECT_EQ(request.all_multicast, false);
  EXPECT_EQ(request.tx_queue_length, 0U);
}

TEST(TuningConfig, AsksForNothingWhereTheReferenceDoesNot) {
  for (const char* config :
       {"{}", R"({"mac": "", "mtu": 0, "promisc": false, "sysctl": {}})",
        R"({"sysctl": null, "txQLen": null, "allmulti": null, "args": {"cni": null}})"}) {
    EXPECT_TRUE(read(config).is_empty()) << config;
  }
}

TEST(TuningConfig, LetsArgsOverruleOneByOne) {
  const TuningRequest request =
      read(R"({"sysctl": {"net.core.somaxconn": "500", "net.ipv4.conf.IFNAME.arp_filter": "1"},
      "mtu": 1454, "promisc": true, "args": {"cni": {"sysctl": {"net.ipv4.conf.eth0.arp_filter": "0"}, "mtu": 1300}}})");
  EXPECT_THAT(request.sysctls,
              ElementsAre(Sysctl{"core/somaxconn", "500"}, Sysctl{"ipv4/conf/eth0/arp_filter", "0"}));
  EXPECT_EQ(request.mtu_bytes, 1300U);
  EXPECT_EQ(request.promiscuous, true);
  // The reference panics here: there is no map to write into.
  EXPECT_EQ(read(R"({"args": {"cni": {"sysctl": {"net.core.somaxconn": "1"}}}})").sysctls.size(), 1U);
}

TEST(TuningConfig, OrdersTheSourcesOfTheHardwareAddress) {
  const std::string config = R"({"mac": "02:00:00:00:00:01"})";
  EXPECT_EQ(read(config, "MAC=02:00:00:00:00:02").mac, MacAddress::parse("02:00:00:00:00:02"));
  const std::string both = R"({"mac": "02:00:00:00:00:01", "args": {"cni": {"mac": "02:00:00:00:00:03"}}})";
  EXPECT_EQ(read(both, "MAC=02:00:00:00:00:02").mac, MacAddress::parse("02:00:00:00:00:03"));
  const std::string all = R"({"mac": "02:00:00:00:00:01", "args": {"cni": {"mac": "02:00:00:00:00:03"}},
                              "runtimeConfig": {"mac": "02:00:00:00:00:04"}})";
  EXPECT_EQ(read(all, "MAC=02:00:00:00:00:02").mac, MacAddress::parse("02:00:00:00:00:04"));
  EXPECT_EQ(read("{}", "IgnoreUnknown=1;K8S_POD_NAME=w;MAC=02:00:00:00:00:05;IP=10.0.0.1").mac,
            MacAddress::parse("02:00:00:00:00:05"));
}

TEST(TuningConfig, NamesTheKeyWithAWrongValue) {
  const struct {
    const char* config;
    const char* named;
  } cases[] = {
      {R"({"sysctl": 5})", "sysctl: "},
      {R"({"sysctl": ["net.core.somaxconn"]})", "sysctl: "},
      {R"({"sysctl": {"net.core.somaxconn": 500}})", "sysctl.net.core.somaxconn: must be a string"},
      {R"({"sysctl": {"net.core.somaxconn": ""}})", "sysctl.net.core.somaxconn: "},
      {R"({"sysctl": {"net.core.somaxconn": "1\n2"}})", "sysctl.net.core.somaxconn: "},
      {R"({"sysctl": {"net.core.somaxconn": "\u00e9"}})", "sysctl.net.core.somaxconn: "},
      {R"({"sysctl": {"kernel.core_pattern": "|/bin/x"}})", "invalid net sysctl key"},
      {R"({"sysctl": {"net.ipv4.ip_forward+kernel.core_pattern": "1"}})", "invalid net sysctl key"},
      {R"({"sysctl": {"net./../kernel.core_pattern": "1"}})", "invalid net sysctl key"},
      {R"({"sysctl": {"net/../kernel/core_pattern": "1"}})", "invalid net sysctl key"},
      {R"({"sysctl": {"net/./ipv4/ip_forward": "1"}})", "invalid net sysctl key"},
      {R"({"sysctl": {"net..ipv4.ip_forward": "1"}})", "invalid net sysctl key"},
      {R"({"sysctl": {"net.ipv4.ip_forward.": "1"}})", "invalid net sysctl key"},
      {R"({"sysctl": {"": "1"}})", "invalid net sysctl key"},
      {R"({"sysctl": {"net": "1"}})", "invalid net sysctl key"},
      {R"({"sysctl": {"net.ipv4.ip forward": "1"}})", "invalid net sysctl key"},
      {R"({"sysctl": {"net.core.rmem_max": "1"}})", "Sysctl net.core.rmem_max is not allowed"},
      {R"({"sysctl": {"net.ipv4.ip_forward": "1", "net.ipv4.ip_forward": "0"}})", "duplicated sysctl keys"},
      {R"({"sysctl": {"net.ipv4.ip_forward": "1"}, "sysctl": {}})", "duplicated sysctl keys"},
      {R"({"sysctl": {"net.ipv4.ip_forward": "1", "net/ipv4/ip_forward": "0"}})", "duplicated sysctl keys"},
      {R"({"sysctl": {"net.ipv4.conf.IFNAME.tag": "1", "net.ipv4.conf.eth0.tag": "0"}})",
       "duplicated sysctl keys"},
      {R"({"args": {"cni": {"sysctl": {"net.ipv4.ip_forward": "1", "net.ipv4.ip_forward": "0"}}}})",
       "duplicated sysctl keys"},
      {R"({"args": {"cni": {"sysctl": 5}}})", "args.cni.sysctl: "},
      {R"({"args": {"cni": {"mtu": "x"}}})", "args.cni.mtu: "},
      {R"({"mac": 5})", "mac: "},
      {R"({"mac": "02:00:00:00:00"})", "mac: "},
      {R"({"mac": "01:00:00:00:00:01"})", "mac: "},
      {R"({"mac": "00:00:00:00:00:00"})", "mac: "},
      {R"({"mtu": "1500"})", "mtu: "},
      {R"({"mtu": -1})", "mtu: "},
      {R"({"mtu": 67})", "mtu: "},
      {R"({"mtu": 65536})", "mtu: "},
      {R"({"promisc": "yes"})", "promisc: "},
      {R"({"allmulti": 1})", "allmulti: "},
      {R"({"txQLen": -1})", "txQLen: "},
      {R"({"txQLen": 4294967296})", "txQLen: "},
      {R"({"dataDir": 5})", "dataDir: "},
      {R"({"runtimeConfig": {"mac": "x"}})", "runtimeConfig.mac: "},
  };
  for (const auto& one : cases) {
    const Error error = error_of([&] { (void)read(one.config); });
    EXPECT_EQ(error.code(), ErrorCode::kInvalidConfig) << one.config;
    EXPECT_THAT(error.message(), HasSubstr(one.named)) << one.config;
  }
  EXPECT_EQ(error_of([] { (void)read("{}", "MAC=x"); }).code(), ErrorCode::kInvalidEnvironment);
  EXPECT_EQ(error_of([] { (void)read("{}", "FOO=x"); }).code(), ErrorCode::kInvalidEnvironment);
}

TEST(SysctlPath, ReadsBothSpellingsAsSysctlDoes) {
  EXPECT_EQ(sysctl_path("net.ipv4.conf.IFNAME.arp_filter"), "ipv4/conf/IFNAME/arp_filter");
  EXPECT_EQ(sysctl_path("net/ipv4/conf/eth0.100/arp_filter"), "ipv4/conf/eth0.100/arp_filter");
  EXPECT_EQ(sysctl_path("net.ipv4.conf.eth0/100.arp_filter"), "ipv4/conf/eth0.100/arp_filter");
}

TEST(TunedPath, ReplacesWholeComponentsOnly) {
  EXPECT_EQ(engine::tuned_path("ipv4/conf/IFNAME/arp_filter", "eth0.1"), "ipv4/conf/eth0.1/arp_filter");
  EXPECT_EQ(engine::tuned_path("ipv4/conf/IFNAME2/arp_filter", "eth0"), "ipv4/conf/IFNAME2/arp_filter");
  EXPECT_EQ(engine::tuned_path("ipv4/IFNAME/IFNAME", "IFNAME"), "ipv4/IFNAME/IFNAME");
}

TEST(SysctlAllowlist, KnowsWhatDistributionsSet) {
  for (const char* key :
       {"net.core.somaxconn", "net.ipv4.conf.IFNAME.rp_filter", "net.ipv4.conf.all.arp_ignore",
        "net.ipv4.ip_forward", "net.ipv4.ip_local_port_range", "net.ipv4.ping_group_range",
        "net.ipv4.ip_unprivileged_port_start", "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_syncookies", "net.ipv4.neigh.IFNAME.gc_stale_time", "net.ipv6.conf.IFNAME.disable_ipv6",
        "net.ipv6.conf.IFNAME.accept_ra", "net.ipv6.neigh.eth0.retrans_time_ms",
        "net.netfilter.nf_conntrack_tcp_timeout_close_wait", "net.unix.max_dgram_qlen",
        "net.mptcp.enabled"}) {
    EXPECT_NO_THROW(require_allowed(key, kNoFile)) << key;
  }
  for (const char* key :
       {"net.core.rmem_max", "net.core.bpf_jit_enable", "net.ipv4.tcp_mem",
        "net.ipv4.neigh.default.gc_thresh3", "net.ipv4.route.flush", "net.netfilter.nf_conntrack_max",
        "net.nf_conntrack_max", "net.netfilter.nf_log.2", "net.bridge.bridge-nf-call-iptables"}) {
    EXPECT_EQ(error_of([&] { require_allowed(key, kNoFile); }).code(), ErrorCode::kInvalidConfig) << key;
  }
}

TEST(SysctlAllowlist, IsReplacedByTheFile) {
  const cni::test::TemporaryFolder folder;
  const std::string file = folder / "allowlist.conf";
  std::ofstream(file) << "^net.ipv4.conf.IFNAME.[a-z_]*$\n\n^net\\.core\\.(rmem|wmem)_max$\r\n";
  EXPECT_NO_THROW(require_allowed("net.ipv4.conf.IFNAME.arp_filter", file));
  EXPECT_NO_THROW(require_allowed("net.core.rmem_max", file));
  const Error error = error_of([&] { require_allowed("net.core.somaxconn", file); });
  EXPECT_EQ(error.code(), ErrorCode::kInvalidConfig);
  EXPECT_THAT(error.message(),
              HasSubstr("Only the following sysctls are allowed: [^net.ipv4.conf.IFNAME.[a-z_]*$ "));
  // What lies outside of net stays outside, whatever the file says.
  std::ofstream(file) << ".*\n";
  EXPECT_EQ(error_of([&] { (void)read(R"({"sysctl": {"kernel.pid_max": "1"}})", "", file); }).code(),
            ErrorCode::kInvalidConfig);
  EXPECT_EQ(read(R"({"sysctl": {"net.core.rmem_max": "1"}})", "", file).sysctls.size(), 1U);
  std::ofstream(file) << "net.(core\n";
  EXPECT_EQ(error_of([&] { require_allowed("net.core.somaxconn", file); }).code(), ErrorCode::kIo);
  std::ofstream(file) << "\n";
  EXPECT_EQ(error_of([&] { require_allowed("net.core.somaxconn", file); }).code(), ErrorCode::kInvalidConfig);
}

}  // namespace
}  // namespace netctl::tuning
