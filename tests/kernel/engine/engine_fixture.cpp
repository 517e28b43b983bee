#include "tests/kernel/engine/engine_fixture.hpp"

#include <fcntl.h>

#include <algorithm>

#include "netlink/sysctl.hpp"
#include "plugins/engine/identity.hpp"

namespace netctl::engine {

using testing::output_of;

Box::Box() {
  // High enough for nothing else to get the number when this is closed.
  constexpr int kLowestNumber = 500;
  const netlink::Netns made = testing::make_netns();
  fd_ = UniqueFd(::fcntl(made.fd(), F_DUPFD_CLOEXEC, kLowestNumber));
  if (!fd_) throw_errno("could not keep the namespace");
  path_ = "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(fd_.get());
}

std::string Box::run(const std::vector<std::string>& command) const {
  std::string output;
  netns().run([&] { output = output_of(command); });
  return output;
}

nlohmann::json Box::ip(const std::vector<std::string>& arguments) const {
  nlohmann::json output;
  netns().run([&] { output = testing::ip_json(arguments); });
  return output;
}

bool Box::has_interface() const {
  bool found = false;
  netns().run([&] { found = testing::run_command({"ip", "link", "show", "dev", "eth0"}).exit_code == 0; });
  return found;
}

void EngineTest::SetUp() {
  NetnsTest::SetUp();
  if (HasFatalFailure()) return;
  state_.emplace();
  ASSERT_EQ(::setenv("NETCTL_STATE_DIR", (*state_ / "state").c_str(), 1), 0);
  output_of({"ip", "link", "set", "lo", "up"});
  engine_ = std::make_unique<Host>(Host::open());
}

void EngineTest::TearDown() {
  engine_.reset();
  NetnsTest::TearDown();
}

iptables::PolicyTable EngineTest::table() { return iptables::PolicyTable(engine().netfilter()); }

AttachmentRequest EngineTest::wanted(const std::string& id, const Box& box, const std::string& network) {
  AttachmentRequest request = sample::request();
  request.key = {network, id, "eth0"};
  request.netns_path = box.path();
  request.container_name = "name-of-" + id;
  request.network.bridge = "br-" + network;
  request.addressing.kind = Addressing::kPool;
  request.addressing.data_directory = "/pools";
  request.addressing.sets = {{{sample::prefix("10.77.0.0/24"), {}, {}, {}}}};
  return request;
}

AttachmentRequest EngineTest::wanted_dual_stack(const std::string& id, const Box& box) {
  AttachmentRequest request = wanted(id, box);
  request.addressing.sets.push_back({{sample::prefix("fd77::/64"), {}, {}, {}}});
  return request;
}

cni::PortMapping EngineTest::mapping(std::uint16_t host_port, std::uint16_t container_port) {
  cni::PortMapping mapping;
  mapping.host_port = host_port;
  mapping.container_port = container_port;
  return mapping;
}

Error EngineTest::refusal(const AttachmentRequest& request) {
  return error_of([&] { (void)add(request); });
}

std::optional<ipam::AttachmentRecord> EngineTest::record_of(const AttachmentRequest& request) {
  std::optional<ipam::AttachmentRecord> record;
  engine().live().read([&](const ipam::Transaction& store) { record = store.find_attachment(request.key); });
  return record;
}

std::optional<ipam::NetworkRecord> EngineTest::network_record(const std::string& network) {
  std::optional<ipam::NetworkRecord> record;
  engine().live().read([&](const ipam::Transaction& store) { record = store.find_network(network); });
  return record;
}

void EngineTest::change_record(const AttachmentRequest& request,
                               const std::function<void(ipam::AttachmentRecord&)>& change) {
  engine().live().write([&](ipam::Transaction& store) {
    ipam::AttachmentRecord record = store.find_attachment(request.key).value();
    change(record);
    store.put_attachment(record);
  });
}

std::optional<netlink::Link> EngineTest::host_end(const AttachmentRequest& request) {
  return link(host_ifname(request.key));
}

void EngineTest::wait_until_gone(const std::string& link_name) {
  testing::wait_until([&] { return !link(link_name); }, link_name + " is gone");
}

void EngineTest::kill(Box& box, const AttachmentRequest& request) {
  box.die();
  wait_until_gone(host_ifname(request.key));
}

std::vector<std::string> EngineTest::published() {
  std::vector<std::string> texts;
  for (const iptables::PublishedPort& port : table().list_ports()) {
    std::string text = port.host_ip ? port.host_ip->to_string() + ":" : "";
    text += std::to_string(port.host_port) + (port.count > 1 ? "+" + std::to_string(port.count - 1) : "") +
            "/" + iptables::to_string(port.protocol) + " to " + port.container.to_string() + ":" +
            std::to_string(port.container_port);
    texts.push_back(std::move(text));
  }
  std::sort(texts.begin(), texts.end());
  return texts;
}

std::string EngineTest::snapshot() {
  // Its anycast route comes when an IPv6 address stops being tentative, which a work queue does even without a check.
  testing::wait_until(
      [] {
        return output_of({"ip", "-6", "addr", "show", "scope", "global", "tentative"}).empty();
      },
      "no address is tentative");
  std::string text;
  for (const auto& link : testing::ip_json({"-d", "link"})) {
    const auto kind = link.value("linkinfo", nlohmann::json::object()).value("info_kind", "");
    text += link.value("ifname", "") + " " + kind + " " + link.value("address", "") + " " +
            link.value("ifalias", "") + " mtu " + std::to_string(link.value("mtu", 0)) + " master " +
            link.value("master", "") + "\n";
  }
  for (const auto& link : testing::ip_json({"addr", "show", "scope", "global"})) {
    for (const auto& one : link.value("addr_info", nlohmann::json::array())) {
      if (!one.contains("local")) continue;
      text += link.value("ifname", "") + " has " + one.value("local", "") + "\n";
    }
  }
  for (const char* family : {"-4", "-6"}) {
    for (const auto& route : testing::ip_json({family, "route", "show", "table", "all"})) {
      const std::string destination = route.value("dst", "");
      if (destination.rfind("fe80", 0) == 0 || destination.rfind("ff00", 0) == 0) continue;
      text += destination + " via " + route.value("gateway", "") + " dev " + route.value("dev", "") + "\n";
    }
  }
  return text + output_of({"nft", "list", "ruleset"}) + "forwarding " + sysctl("ipv4/ip_forward") +
         sysctl("ipv6/conf/all/forwarding");
}

std::string EngineTest::sysctl(const std::string& path) {
  return netlink::read_sysctl(path).value_or("missing");
}

std::vector<std::string> addresses_of(const cni::Result& result) {
  std::vector<std::string> texts;
  for (const cni::ResultIp& ip : result.ips) texts.push_back(ip.address.to_string());
  return texts;
}

}  // namespace netctl::engine
