#include "plugins/firewall/firewall_config.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include <gmock/gmock.h>

#include "base/unique_fd.hpp"
#include "plugins/engine/parts/system_bus.hpp"
#include "tests/unit/cni/support.hpp"
#include "tests/unit/engine/sample.hpp"

namespace netctl::firewall {
namespace {

using cni::test::error_of;
using engine::FirewallBackend;
using engine::FirewallRequest;
using engine::sample::prefix;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

FirewallRequest read(const std::string& text) {
  const auto config = nlohmann::json::parse(text);
  cni::Invocation call = engine::sample::invocation(config);
  if (config.contains("prevResult"))
    call.prev_result = cni::Result::from_json(config.at("prevResult"), "1.1.0");
  return read_request(call);
}

TEST(FirewallConfig, HasTheReferencesDefaults) {
  for (const char* config : {"{}", R"({"backend": "", "iptablesAdminChainName": "", "firewalldZone": "",
                                       "ingressPolicy": ""})",
                             R"({"ingressPolicy": "open", "backend": null})"}) {
    const FirewallRequest request = read(config);
    EXPECT_EQ(request.backend, FirewallBackend::kAuto) << config;
    EXPECT_EQ(request.admin_chain, "CNI-ADMIN") << config;
    EXPECT_EQ(request.zone, "trusted") << config;
    EXPECT_TRUE(request.is_empty()) << config;
  }
}

TEST(FirewallConfig, TakesAddressesAndLinksFromWhatCameBefore) {
  const FirewallRequest request =
      read(R"({"backend": "firewalld", "iptablesAdminChainName": "MINE", "firewalldZone": "work",
      "prevResult": {"cniVersion": "1.1.0", "interfaces": [{"name": "br-blue"}, {"name": "nc1"},
      {"name": "eth0", "sandbox": "/run/netns/a"}],
      "ips": [{"address": "10.1.0.5/24", "interface": 2}, {"address": "fd00::5/64", "interface": 2}]}})");
  EXPECT_EQ(request.backend, FirewallBackend::kFirewalld);
  EXPECT_EQ(request.admin_chain, "MINE");
  EXPECT_EQ(request.zone, "work");
  EXPECT_THAT(request.addresses, ElementsAre(prefix("10.1.0.5/24"), prefix("fd00::5/64")));
  EXPECT_THAT(request.host_links, ElementsAre("br-blue", "nc1"));
  EXPECT_EQ(read(R"({"backend": "iptables"})").backend, FirewallBackend::kIptables);
  EXPECT_EQ(read(R"({"backend": "nftables"})").backend, FirewallBackend::kIptables);
  EXPECT_EQ(read(R"({"ingressPolicy": "same-bridge"})").ingress, iptables::Ingress::kSameBridge);
  EXPECT_EQ(read(R"({"ingressPolicy": "isolated"})").ingress, iptables::Ingress::kIsolated);
}

TEST(FirewallConfig, NamesTheKeyWithAWrongValue) {
  const struct {
    const char* config;
    const char* named;
  } cases[] = {
      {R"({"backend": 5})", "backend: "},
      {R"({"backend": "ebtables"})", "backend: "},
      {R"({"iptablesAdminChainName": 5})", "iptablesAdminChainName: "},
      {R"({"iptablesAdminChainName": "-j"})", "iptablesAdminChainName: "},
      {R"({"iptablesAdminChainName": "!X"})", "iptablesAdminChainName: "},
      {R"({"iptablesAdminChainName": "A B"})", "iptablesAdminChainName: "},
      {R"({"iptablesAdminChainName": "ABCDEFGHIJKLMNOPQRSTUVWXYZABC"})", "iptablesAdminChainName: "},
      {R"({"firewalldZone": ["x"]})", "firewalldZone: "},
      {R"({"firewalldZone": "a\nb"})", "firewalldZone: "},
      {R"({"ingressPolicy": 1})", "ingressPolicy: "},
      {R"({"ingressPolicy": "closed"})", "unknown ingress policy: \"closed\""},
  };
  for (const auto& one : cases) {
    const Error error = error_of([&] { (void)read(one.config); });
    EXPECT_EQ(error.code(), ErrorCode::kInvalidConfig) << one.config;
    EXPECT_THAT(error.message(), HasSubstr(one.named)) << one.config;
  }
}

/// A message bus that says these things, each when it has heard something, and hangs up.
class FakeBus {
 public:
  explicit FakeBus(const std::vector<std::string>& answers) {
    const std::string path = folder_ / "bus";
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.size());
    const UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listener.get(), 1), 0);
    EXPECT_EQ(::setenv("DBUS_SYSTEM_BUS_ADDRESS", ("unix:path=" + path + ",guid=0").c_str(), 1), 0);
    pid_ = ::fork();
    if (pid_ != 0) return;
    const UniqueFd peer(::accept(listener.get(), nullptr, nullptr));
    for (const std::string& answer : answers) {
      char heard[4096];
      if (::read(peer.get(), heard, sizeof heard) <= 0) break;
      if (::write(peer.get(), answer.data(), answer.size()) < 0) break;
    }
    ::_exit(0);
  }
  FakeBus(const FakeBus&) = delete;
  FakeBus& operator=(const FakeBus&) = delete;
  ~FakeBus() { ::waitpid(pid_, nullptr, 0); }

 private:
  cni::test::TemporaryFolder folder_;
  pid_t pid_ = -1;
};

TEST(SystemBus, IsNotThereWhereNobodyListens) {
  ASSERT_EQ(::setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus", 1), 0);
  EXPECT_FALSE(engine::SystemBus::connect());
  ASSERT_EQ(::setenv("DBUS_SYSTEM_BUS_ADDRESS", "tcp:host=localhost", 1), 0);
  EXPECT_EQ(error_of([] { (void)engine::SystemBus::connect(); }).code(), ErrorCode::kIo);
}

TEST(SystemBus, SurvivesWhateverItIsTold) {
  const std::string welcome = "OK 0123456789abcdef\r\n";
  const std::string huge("l\2\0\1\377\377\377\377\1\0\0\0\377\377\377\377", 16);
  const std::string cut("l\2\0\1\0\0\0\0\1\0\0\0\20\0\0\0\5\1u\0\377\377\377\377\6\1s\0\377\0\0\0", 32);
  const std::string other_order("B\2\0\1\0\0\0\0\0\0\0\1\0\0\0\0", 16);
  for (const std::vector<std::string>& answers : {std::vector<std::string>{},
                                                  {"REJECTED\r\n"},
                                                  {std::string(1000, 'x')},
                                                  {welcome},
                                                  {welcome, "short"},
                                                  {welcome, huge},
                                                  {welcome, cut},
                                                  {welcome, other_order},
                                                  {welcome, std::string(4096, '\377')}}) {
    const FakeBus bus(answers);
    EXPECT_EQ(error_of([] { (void)engine::SystemBus::connect(); }).code(), ErrorCode::kIo);
  }
}

}  // namespace
}  // namespace netctl::firewall
