// Whole plans against what they are meant to be (golden/NAME.json). The bridge's hardware address is made of the machine's
// id: the golden text has "(of the machine)" in its place.

#include <fstream>
#include <functional>
#include <map>

#include <gtest/gtest.h>

#include "plugins/engine/identity.hpp"
#include "plugins/engine/plan.hpp"
#include "tests/unit/engine/sample.hpp"

namespace netctl::engine {
namespace {

using sample::address;
using sample::lease;
using sample::lease_v4;
using sample::lease_v6;
using sample::port;
using sample::prefix;
using sample::request;

struct Case {
  AttachmentRequest request;
  std::vector<ipam::LeaseRecord> leases;
  std::vector<ipam::PortRecord> ports;
};

Case plain() { return {request(), {lease_v4()}, {}}; }

Case dual_stack_with_ports() {
  Case one{request(), {lease_v4(), lease_v6()}, {}};
  const std::vector<IpAddress> both = {address("10.1.0.5"), address("fd00:1::5")};
  ipam::PortRecord range = port(8000, 80, both);
  range.protocol = 17;
  range.count = 3;
  ipam::PortRecord local = port(8443, 443, both);
  local.host_ip = address("127.0.0.1");
  one.ports = {port(8080, 80, both), range, local};
  return one;
}

Case layer_two() {
  Case one{request(), {}, {}};
  one.request.network.is_gateway = false;
  one.request.network.masquerade = false;
  one.request.endpoint.default_gateway = false;
  one.request.endpoint.leave_down = true;
  one.request.endpoint.disable_ipv6 = true;
  one.request.endpoint.mac = MacAddress::parse("02:00:00:00:00:07");
  return one;
}

Case every_switch() {
  Case one{request(), {lease_v4()}, {}};
  one.request.network.mtu_bytes = 1400;
  one.request.network.promiscuous = true;
  one.request.network.isolated = true;
  one.request.network.internal = true;
  one.request.network.localhost_publish = false;
  one.request.network.masquerade_exclude = {prefix("10.0.0.0/8")};
  one.request.endpoint.hairpin = true;
  one.request.endpoint.port_isolation = true;
  one.request.endpoint.spoof_check = true;
  one.request.endpoint.disable_ipv6 = true;
  one.ports = {port(8080, 80)};
  return one;
}

Case ipv6_with_detection() {
  Case one{request(), {lease_v6()}, {}};
  one.request.endpoint.detect_duplicates = true;
  return one;
}

Case routes_of_the_configuration() {
  Case one{request(), {lease_v4()}, {}};
  one.request.endpoint.default_gateway = false;
  cni::ResultRoute through_the_gateway;
  through_the_gateway.destination = prefix("192.168.0.0/16");
  cni::ResultRoute through_another;
  through_another.destination = prefix("172.16.0.0/12");
  through_another.gateway = address("10.1.0.9");
  one.request.addressing.routes = {through_the_gateway, through_another};
  return one;
}

Case point_to_point() {
  Case one{request(), {lease_v4(), lease_v6()}, {port(8080, 80)}};
  one.request.driver = "ptp";
  one.request.link = PointToPoint{};
  one.request.network.is_gateway = false;
  cni::ResultRoute route;
  route.destination = prefix("0.0.0.0/0");
  one.request.endpoint.default_gateway = false;
  one.request.addressing.routes = {route};
  return one;
}

Case on_a_master() {
  Case one{request(), {lease_v4()}, {}};
  one.request.driver = "macvlan";
  one.request.network = {};
  one.request.link = Macvlan{"up0", 7, netlink::MacvlanMode::kVepa, false, 50U};
  return one;
}

Case in_a_vlan() {
  Case one{request(), {lease_v4()}, {}};
  BridgePort port;
  port.vlan.access = 100;
  port.vlan.trunk = {{7, 7}, {20, 31}};
  port.vlan.keep_default = false;
  one.request.link = port;
  return one;
}

Case moved_device() {
  Case one{request(), {lease_v4()}, {}};
  one.request.driver = "host-device";
  one.request.network = {};
  HostDevice device;
  device.device = "up0";
  device.found = DeviceState{.name = "up0",
                             .index = 7,
                             .kind = "",
                             .mac = "02:00:00:00:00:05",
                             .mtu_bytes = 1500,
                             .up = true,
                             .alias = "",
                             .bridge = "",
                             .addresses = {}};
  one.request.endpoint.mac = MacAddress::parse("02:00:00:00:00:05");
  one.request.link = device;
  return one;
}

const std::map<std::string, std::function<Case()>> kCases = {
    {"plain", plain},
    {"dual-stack-with-ports", dual_stack_with_ports},
    {"layer-two", layer_two},
    {"every-switch", every_switch},
    {"ipv6-with-detection", ipv6_with_detection},
    {"routes-of-the-configuration", routes_of_the_configuration},
    {"point-to-point", point_to_point},
    {"on-a-master", on_a_master},
    {"moved-device", moved_device},
    {"in-a-vlan", in_a_vlan},
};

class PlanGolden : public ::testing::TestWithParam<std::string> {};

TEST_P(PlanGolden, IsWhatItIsMeantToBe) {
  const Case one = kCases.at(GetParam())();
  nlohmann::json plan = to_json(make_plan(one.request, one.leases, one.ports));
  if (plan["network"].contains("bridge")) {
    nlohmann::json& mac = plan["network"]["bridge"]["mac"];
    EXPECT_EQ(mac, bridge_mac("br-blue").to_string());
    mac = "(of the machine)";
  }
  std::ifstream file(std::string(GOLDEN_FOLDER) + "/" + GetParam() + ".json");
  ASSERT_TRUE(file) << "there is no golden text; the plan is " << plan.dump(2);
  const nlohmann::json golden = nlohmann::json::parse(file);
  EXPECT_EQ(plan, golden) << nlohmann::json::diff(golden, plan).dump(2) << "\nthe plan is " << plan.dump(2);
}

std::vector<std::string> case_names() {
  std::vector<std::string> names;
  for (const auto& one : kCases) names.push_back(one.first);
  return names;
}

std::string camel_case(const ::testing::TestParamInfo<std::string>& info) {
  std::string name;
  bool begins_a_word = true;
  for (const char letter : info.param) {
    if (letter != '-') name += begins_a_word ? static_cast<char>(letter - 'a' + 'A') : letter;
    begins_a_word = letter == '-';
  }
  return name;
}

INSTANTIATE_TEST_SUITE_P(Plans, PlanGolden, ::testing::ValuesIn(case_names()), camel_case);

}  // namespace
}  // namespace netctl::engine
