// Which entries go, and above all which stay. The kernel's own filter is wrong for IPv6 addresses and SCTP ports
// (netlink/conntrack.hpp), so every case is run for every kind of flow.

#include "netlink/conntrack.hpp"

#include <netinet/in.h>

#include <set>

#include <gmock/gmock.h>

#include "tests/support/netns_test.hpp"

namespace netctl::netlink {
namespace {

using ::testing::IsEmpty;
using testing::output_of;

struct Kind {
  std::string name;
  Family family;
  std::uint8_t protocol;
  std::string protocol_name;
};

void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }

/// Addresses by role and number: "a client", "a host address", "a container".
std::string address(Family family, const std::string& role, int number) {
  const bool v4 = family == Family::kIpv4;
  if (role == "client") return (v4 ? "192.0.2." : "2001:db8::") + std::to_string(number);
  if (role == "host") return (v4 ? "198.51.100." : "2001:db8:1::") + std::to_string(number);
  return (v4 ? "10.1.0." : "fd00::") + std::to_string(number);
}

class ConntrackTest : public testing::NetnsTest, public ::testing::WithParamInterface<Kind> {
 protected:
  void SetUp() override {
    NetnsTest::SetUp();
    if (!HasFatalFailure()) netfilter_.emplace(Socket::open(Bus::kNetfilter));
  }

  [[nodiscard]] static std::string at(const std::string& role, int number) {
    return address(GetParam().family, role, number);
  }
  [[nodiscard]] static IpAddress ip(const std::string& role, int number) {
    return *IpAddress::parse(at(role, number));
  }

  /// A flow of client `client` to port `port` of host address `host`; translated to port 80 of `container`, if not 0.
  static void flow(int client, int host, int port, int container = 0) {
    std::vector<std::string> command{
        "conntrack", "-I",         "-p",      GetParam().protocol_name, "-t", "100",
        "-u",        "SEEN_REPLY", "-s",      at("client", client),     "-d", at("host", host),
        "--sport",   "1000",       "--dport", std::to_string(port)};
    if (GetParam().protocol != IPPROTO_UDP) command.insert(command.end(), {"--state", "ESTABLISHED"});
    if (GetParam().protocol == IPPROTO_SCTP)
      command.insert(command.end(), {"--orig-vtag", "1", "--reply-vtag", "2"});
    if (container != 0) {
      // The port is translated by naming the reply's, since `conntrack` has no way to say it for SCTP.
      command.insert(command.end(), {"-r", at("host", host), "-q", at("client", client), "--reply-port-src",
                                     "80", "--reply-port-dst", "1000", "-g", at("container", container)});
    }
    output_of(command);
  }

  /// "client-host:port" of every flow there is.
  static std::set<std::string> flows() {
    std::set<std::string> found;
    for (const char* family : {"ipv4", "ipv6"}) {
      std::istringstream lines(output_of({"conntrack", "-L", "-o", "extended", "-f", family}));
      std::string line;
      while (std::getline(lines, line)) {
        const auto field = [&line](const std::string& name) {
          const std::size_t start = line.find(name + "=") + name.size() + 1;
          return line.substr(start, line.find(' ', start) - start);
        };
        if (line.find(" dport=") == std::string::npos) continue;  // the count at the end
        found.insert(field("src") + "-" + field(" dst") + ":" + field("dport"));
      }
    }
    return found;
  }
  static std::string named(int client, int host, int port) {
    return at("client", client) + "-" + at("host", host) + ":" + std::to_string(port);
  }

  FlowSelector selector() { return {.family = GetParam().family, .protocol = GetParam().protocol}; }
  Socket& netfilter() { return *netfilter_; }

 private:
  std::optional<Socket> netfilter_;
};

TEST_P(ConntrackTest, ForgetsOnePortOfOneAddress) {
  for (const int client : {1, 2}) {
    for (const int host : {1, 2}) {
      for (const int port : {8080, 8081}) flow(client, host, port);
    }
  }
  FlowSelector one = selector();
  one.original_destination = ip("host", 1);
  one.original_destination_port = 8080;
  forget_flows(netfilter(), one);
  EXPECT_EQ(flows(), (std::set<std::string>{named(1, 1, 8081), named(2, 1, 8081), named(1, 2, 8080),
                                            named(2, 2, 8080), named(1, 2, 8081), named(2, 2, 8081)}));
}

TEST_P(ConntrackTest, ForgetsOnePortOfEveryAddress) {
  for (const int host : {1, 2}) {
    for (const int port : {8080, 8081}) flow(1, host, port);
  }
  FlowSelector port = selector();
  port.original_destination_port = 8080;
  forget_flows(netfilter(), port);
  EXPECT_EQ(flows(), (std::set<std::string>{named(1, 1, 8081), named(1, 2, 8081)}));
}

TEST_P(ConntrackTest, SparesTranslatedFlowsWhenAsked) {
  flow(1, 1, 8080);
  flow(2, 1, 8080, 5);
  FlowSelector untouched = selector();
  untouched.original_destination_port = 8080;
  untouched.only_untranslated = true;
  forget_flows(netfilter(), untouched);
  EXPECT_EQ(flows(), (std::set<std::string>{named(2, 1, 8080)}));
}

TEST_P(ConntrackTest, ForgetsThePublishedPortOfOneContainer) {
  flow(1, 1, 8080, 5);
  flow(2, 2, 9090, 5);
  flow(3, 1, 8080, 6);
  flow(4, 1, 80);
  FlowSelector published = selector();
  published.reply_source = ip("container", 5);
  published.reply_source_port = 80;
  forget_flows(netfilter(), published);
  EXPECT_EQ(flows(), (std::set<std::string>{named(3, 1, 8080), named(4, 1, 80)}));
}

TEST_P(ConntrackTest, ForgetsAllFlowsOfAContainer) {
  flow(1, 1, 8080);
  flow(1, 2, 8081);
  flow(2, 1, 8080, 5);
  flow(3, 1, 8080, 6);
  forget_flows(netfilter(), FlowSelector{.family = GetParam().family, .original_source = ip("client", 1)});
  EXPECT_EQ(flows(), (std::set<std::string>{named(2, 1, 8080), named(3, 1, 8080)}));
  forget_flows(netfilter(), FlowSelector{.family = GetParam().family, .reply_source = ip("container", 5)});
  EXPECT_EQ(flows(), (std::set<std::string>{named(3, 1, 8080)}));
}

TEST_P(ConntrackTest, ForgetsWhatAnyOfSeveralSelectorsMeans) {
  flow(1, 1, 8080);
  flow(2, 1, 8080, 5);
  flow(3, 1, 8081, 6);
  flow(4, 2, 9090);
  FlowSelector port = selector();
  port.original_destination = ip("host", 2);
  port.original_destination_port = 9090;
  forget_flows(netfilter(), std::vector<FlowSelector>{
                                port,
                                {.family = GetParam().family, .original_source = ip("client", 1)},
                                {.family = GetParam().family, .reply_source = ip("container", 5)},
                            });
  EXPECT_EQ(flows(), (std::set<std::string>{named(3, 1, 8081)}));
}

TEST_P(ConntrackTest, ForgetsARangeOfPorts) {
  for (const int port : {7999, 8000, 8015, 8099, 8100}) flow(1, 1, port);
  flow(1, 2, 8050);
  std::vector<FlowSelector> range;
  for (int port = 8000; port < 8100; ++port) {
    range.push_back(selector());
    range.back().original_destination = ip("host", 1);
    range.back().original_destination_port = static_cast<std::uint16_t>(port);
  }
  forget_flows(netfilter(), range);
  EXPECT_EQ(flows(), (std::set<std::string>{named(1, 1, 7999), named(1, 1, 8100), named(1, 2, 8050)}));
}

TEST_P(ConntrackTest, ForgetsMoreFlowsThanOneBatchDeletes) {
  for (int client = 1; client <= 140; ++client) flow(client, 1, 8080);
  flow(1, 1, 8081);
  FlowSelector port = selector();
  port.original_destination = ip("host", 1);
  port.original_destination_port = 8080;
  forget_flows(netfilter(), port);
  EXPECT_EQ(flows(), (std::set<std::string>{named(1, 1, 8081)}));
}

TEST_P(ConntrackTest, LeavesOtherProtocolsAndFamiliesAlone) {
  flow(1, 1, 8080);
  const bool v4 = GetParam().family == Family::kIpv4;
  output_of({"conntrack", "-I", "-p", GetParam().protocol == IPPROTO_UDP ? "tcp" : "udp", "-t", "100", "-s",
             at("client", 9), "-d", at("host", 1), "--sport", "1000", "--dport", "8080",
             GetParam().protocol == IPPROTO_UDP ? "--state" : "-m",
             GetParam().protocol == IPPROTO_UDP ? "LISTEN" : "0"});
  const Family other = v4 ? Family::kIpv6 : Family::kIpv4;
  output_of({"conntrack", "-I", "-p", "udp", "-t", "100", "-s", address(other, "client", 8), "-d",
             address(other, "host", 1), "--sport", "1000", "--dport", "8080"});
  FlowSelector port = selector();
  port.original_destination_port = 8080;
  forget_flows(netfilter(), port);
  EXPECT_EQ(flows(), (std::set<std::string>{named(9, 1, 8080), address(other, "client", 8) + "-" +
                                                                   address(other, "host", 1) + ":8080"}));
}

TEST_P(ConntrackTest, SucceedsWhereThereIsNothingToForget) {
  FlowSelector port = selector();
  port.original_destination = ip("host", 1);
  port.original_destination_port = 8080;
  forget_flows(netfilter(), port);
  flow(1, 2, 8080);
  forget_flows(netfilter(), port);
  forget_flows(netfilter(), port);
  EXPECT_EQ(flows(), (std::set<std::string>{named(1, 2, 8080)}));
}

INSTANTIATE_TEST_SUITE_P(Kinds, ConntrackTest,
                         ::testing::Values(Kind{"tcp4", Family::kIpv4, IPPROTO_TCP, "tcp"},
                                           Kind{"udp4", Family::kIpv4, IPPROTO_UDP, "udp"},
                                           Kind{"sctp4", Family::kIpv4, IPPROTO_SCTP, "sctp"},
                                           Kind{"tcp6", Family::kIpv6, IPPROTO_TCP, "tcp"},
                                           Kind{"udp6", Family::kIpv6, IPPROTO_UDP, "udp"},
                                           Kind{"sctp6", Family::kIpv6, IPPROTO_SCTP, "sctp"}),
                         [](const auto& kind) { return kind.param.name; });

using ConntrackSelectorTest = testing::NetnsTest;

TEST_F(ConntrackSelectorTest, ThatNamesNothingIsRefused) {
  Socket netfilter = Socket::open(Bus::kNetfilter);
  EXPECT_THROW(forget_flows(netfilter, FlowSelector()), Error);
  EXPECT_THROW(forget_flows(netfilter, FlowSelector{.protocol = IPPROTO_TCP}), Error);
  EXPECT_THROW(forget_flows(netfilter, FlowSelector{.only_untranslated = true}), Error);
  EXPECT_THROW(forget_flows(netfilter, FlowSelector{.original_destination_port = 80}), Error)
      << "a port of which protocol?";
}

}  // namespace
}  // namespace netctl::netlink
