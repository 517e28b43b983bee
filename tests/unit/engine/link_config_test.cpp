// The configurations of ptp, macvlan and host-device as requests.

#include <gmock/gmock.h>

#include "plugins/host-device/host_device_config.hpp"
#include "plugins/macvlan/macvlan_config.hpp"
#include "plugins/ptp/ptp_config.hpp"
#include "tests/unit/cni/support.hpp"
#include "tests/unit/engine/sample.hpp"

namespace netctl::engine {
namespace {

using cni::test::error_of;
using nlohmann::json;
using sample::invocation;
using ::testing::HasSubstr;

using Reader = AttachmentRequest (*)(const cni::Invocation&);

AttachmentRequest read(Reader reader, const std::string& config, const std::string& args = "") {
  cni::Invocation call = invocation(json::parse(config));
  call.args = cni::Args::parse(args);
  return reader(call);
}

struct Refused {
  Reader reader;
  const char* config;
  const char* words;
  ErrorCode code = ErrorCode::kInvalidConfig;
};

void expect_refused(const Refused& one) {
  const Error error = error_of([&] { (void)read(one.reader, one.config); });
  EXPECT_EQ(error.code(), one.code) << one.config << ": " << error.message();
  EXPECT_THAT(error.message(), HasSubstr(one.words)) << one.config;
}

constexpr const char* kPtp = R"({"ipMasq": true, "ipMasqBackend": "iptables", "mtu": 1400,
    "dns": {"nameservers": ["10.1.0.53"]}, "ipam": {"type": "host-local", "subnet": "10.1.0.0/24"},
    "netctl": {"masqueradeExclude": ["10.0.0.0/8"], "localhostPublish": false, "exclude": ["10.1.0.9"],
               "disableIPv6": true, "description": "text"},
    "runtimeConfig": {"portMappings": [{"hostPort": 8080, "containerPort": 80}]}})";

TEST(PtpConfig, ReadsEveryKey) {
  const AttachmentRequest request = read(ptp::read_request, kPtp, "ANYTHING=goes");
  EXPECT_TRUE(std::holds_alternative<PointToPoint>(request.link));
  EXPECT_EQ(request.driver, "ptp");
  EXPECT_TRUE(request.network.masquerade);
  EXPECT_EQ(request.network.mtu_bytes, 1400U);
  EXPECT_FALSE(request.network.localhost_publish);
  EXPECT_EQ(request.network.masquerade_exclude.size(), 1U);
  EXPECT_EQ(request.endpoint.dns.nameservers.size(), 1U);
  EXPECT_EQ(request.endpoint.ports.size(), 1U);
  EXPECT_TRUE(request.endpoint.disable_ipv6);
  EXPECT_EQ(request.addressing.kind, Addressing::kPool);
  EXPECT_EQ(request.addressing.exclude.size(), 1U);
}

TEST(PtpConfig, RefusesWhatItCannotHonour) {
  const Refused cases[] = {
      {ptp::read_request, "{}", "no plugin name provided"},
      {ptp::read_request, R"({"ipMasqBackend": "pf", "ipam": {"type": "x"}})", "ipMasqBackend"},
      {ptp::read_request, R"({"mtu": -1, "ipam": {"type": "x"}})", "mtu"},
      {ptp::read_request, R"({"ipMasq": "yes", "ipam": {"type": "x"}})", "ipMasq"},
      {ptp::read_request, R"({"ipam": {"type": "../x"}})", "ipam.type"},
      {ptp::read_request, R"({"ipam": {"type": "x"}, "netctl": {"isolation": true}})", "netctl.isolation",
       ErrorCode::kUnsupportedField},
      {ptp::read_request, R"({"ipam": {"type": "x"}, "netctl": {"masqueradeExclude": ["x"]}})",
       "masqueradeExclude"},
  };
  for (const Refused& one : cases) expect_refused(one);
}

TEST(MacvlanConfig, HasTheReferencesDefaults) {
  const AttachmentRequest request = read(macvlan::read_request, "{}");
  const Macvlan& spec = std::get<Macvlan>(request.link);
  EXPECT_EQ(spec.master, "");
  EXPECT_EQ(spec.mode, netlink::MacvlanMode::kBridge);
  EXPECT_FALSE(spec.master_in_container);
  EXPECT_FALSE(spec.broadcast_queue_length);
  EXPECT_FALSE(request.endpoint.mac);
  EXPECT_EQ(request.addressing.kind, Addressing::kNone);
}

TEST(MacvlanConfig, ReadsEveryKey) {
  const AttachmentRequest request = read(
      macvlan::read_request, R"({"master": "up0", "mode": "vepa", "mtu": 1300, "mac": "02:00:00:00:00:05",
      "linkInContainer": true, "bcqueuelen": 50, "ipam": {"type": "dhcp"}})");
  const Macvlan& spec = std::get<Macvlan>(request.link);
  EXPECT_EQ(spec.master, "up0");
  EXPECT_EQ(spec.mode, netlink::MacvlanMode::kVepa);
  EXPECT_TRUE(spec.master_in_container);
  EXPECT_EQ(spec.broadcast_queue_length, 50U);
  EXPECT_EQ(request.network.mtu_bytes, 1300U);
  EXPECT_EQ(request.endpoint.mac, MacAddress::parse("02:00:00:00:00:05"));
  EXPECT_EQ(request.addressing.kind, Addressing::kDelegate);
}

TEST(MacvlanConfig, TakesTheStrongestMacAddress) {
  const std::string own = R"({"mac": "02:00:00:00:00:05")";
  EXPECT_EQ(read(macvlan::read_request, own + "}", "MAC=02:00:00:00:00:06").endpoint.mac,
            MacAddress::parse("02:00:00:00:00:06"));
  EXPECT_EQ(read(macvlan::read_request, own + R"(, "runtimeConfig": {"mac": "02:00:00:00:00:07"}})",
                 "MAC=02:00:00:00:00:06")
                .endpoint.mac,
            MacAddress::parse("02:00:00:00:00:07"));
}

TEST(MacvlanConfig, RefusesWhatItCannotHonour) {
  const Refused cases[] = {
      {macvlan::read_request, R"({"mode": "source"})", "unknown macvlan mode: \"source\""},
      {macvlan::read_request, R"({"master": "a/b"})", "master"},
      {macvlan::read_request, R"({"mtu": 70000})", "mtu"},
      {macvlan::read_request, R"({"mac": "01:00:00:00:00:05"})", "unicast"},
      {macvlan::read_request, R"({"bcqueuelen": -1})", "bcqueuelen"},
      {macvlan::read_request, R"({"linkInContainer": "yes"})", "linkInContainer"},
      {macvlan::read_request, R"({"mode": "passthru", "mac": "02:00:00:00:00:05"})", "passthru",
       ErrorCode::kUnsupportedField},
      {macvlan::read_request, R"({"runtimeConfig": {"portMappings": [{"hostPort": 1, "containerPort": 1}]}})",
       "portMappings", ErrorCode::kUnsupportedField},
  };
  for (const Refused& one : cases) expect_refused(one);
  cni::Invocation call = invocation(json::object());
  call.args = cni::Args::parse("COLOUR=red");
  EXPECT_EQ(error_of([&] { (void)macvlan::read_request(call); }).code(), ErrorCode::kInvalidEnvironment);
}

TEST(HostDeviceConfig, ReadsEverySelector) {
  const AttachmentRequest request =
      read(host_device::read_request, R"({"device": "up0", "hwaddr": "02:00:00:00:00:05", "mtu": 1300,
      "kernelpath": "/sys/devices/pci0000:00/0000:00:1f.6", "pciBusID": "0000:00:1f.6"})",
           "ANYTHING=goes");
  const HostDevice& spec = std::get<HostDevice>(request.link);
  EXPECT_EQ(spec.device, "up0");
  EXPECT_EQ(spec.mac, "02:00:00:00:00:05");
  EXPECT_EQ(spec.kernel_path, "/sys/devices/pci0000:00/0000:00:1f.6");
  EXPECT_EQ(spec.bus_id, "0000:00:1f.6");
  EXPECT_FALSE(spec.userspace_driver);
  EXPECT_EQ(request.network.mtu_bytes, 0U) << "mtu is no key of host-device";
}

TEST(HostDeviceConfig, LetsTheRuntimeNameTheDevice) {
  const AttachmentRequest request =
      read(host_device::read_request,
           R"({"pciBusID": "0000:00:1f.6", "runtimeConfig": {"DeviceID": "mlx5.sf.4"}})");
  EXPECT_EQ(std::get<HostDevice>(request.link).bus_id, "mlx5.sf.4");
  const AttachmentRequest dpdk = read(host_device::read_request, R"({"device": "up0", "DPDKMode": true})");
  EXPECT_TRUE(std::get<HostDevice>(dpdk.link).userspace_driver);
}

TEST(HostDeviceConfig, RefusesWhatItCannotHonour) {
  const Refused cases[] = {
      {host_device::read_request, "{}", R"(specify either "device", "hwaddr", "kernelpath" or "pciBusID")"},
      {host_device::read_request, R"({"device": "a b"})", "device"},
      {host_device::read_request, R"({"hwaddr": "02:00"})", "hwaddr"},
      {host_device::read_request, R"({"kernelpath": "/etc"})",
       "must be absolute and begin with /sys/devices/"},
      {host_device::read_request, R"({"kernelpath": "/sys/devices/../../etc"})", "kernelpath"},
      {host_device::read_request, R"({"pciBusID": "../.."})", "pciBusID"},
      {host_device::read_request, R"({"runtimeConfig": {"deviceID": "a/b"}})", "deviceID"},
      {host_device::read_request, R"({"device": "up0", "DPDKMode": 1})", "dpdkmode"},
      {host_device::read_request, R"({"device": "up0", "runtimeConfig": {"mac": "02:00:00:00:00:07"}})",
       "mac", ErrorCode::kUnsupportedField},
  };
  for (const Refused& one : cases) expect_refused(one);
}

}  // namespace
}  // namespace netctl::engine
