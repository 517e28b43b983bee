#include "iptables/policy.hpp"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "iptables/policy_elements.hpp"
#include "iptables/policy_table.hpp"
#include "tests/unit/iptables/sample.hpp"

namespace netctl::iptables {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

std::vector<std::string> described(const std::vector<Element>& elements) {
  std::vector<std::string> lines;
  for (const Element& element : elements) lines.push_back(describe(element));
  return lines;
}

std::vector<std::string> described(const PublishedPort& port) { return described(elements_of({&port, 1})); }

ErrorCode refused_with(const PublishedPort& port) {
  try {
    (void)elements_of({&port, 1});
  } catch (const Error& error) {
    return error.code();
  }
  return ErrorCode::kInternal;
}

TEST(Protocol, IsReadInAnyCase) {
  EXPECT_EQ(parse_protocol("tcp"), Protocol::kTcp);
  EXPECT_EQ(parse_protocol("UDP"), Protocol::kUdp);
  EXPECT_EQ(parse_protocol("Sctp"), Protocol::kSctp);
  for (const char* wrong : {"", "tcpp", "tc", "6", "tcp ", "tcp } ; flush ruleset ; {"}) {
    EXPECT_EQ(parse_protocol(wrong), std::nullopt) << wrong;
  }
}

TEST(Protocol, IsWrittenInLowerCase) {
  EXPECT_EQ(to_string(Protocol::kTcp), "tcp");
  EXPECT_EQ(to_string(Protocol::kSctp), "sctp");
  EXPECT_EQ(to_string(static_cast<Protocol>(1)), "1");
}

TEST(ChainName, IsAHashOfTheWholeName) {
  EXPECT_THAT(chain_name("lab"), ::testing::MatchesRegex("net-[0-9a-f]{16}"));
  EXPECT_EQ(chain_name("lab"), chain_name("lab"));
  EXPECT_NE(chain_name(std::string(200, 'a') + "1"), chain_name(std::string(200, 'a') + "2"));
}

TEST(PublishedPortElements, OfOnePortAreTheMapAndTheTarget) {
  EXPECT_THAT(
      described(sample::port(Protocol::kTcp, nullptr, 8080, "10.88.0.2", 80)),
      ElementsAre("publish4 { tcp . 8080 : 10.88.0.2 . 80 }", "published_targets4 { 10.88.0.2 . tcp . 80 }"));
  EXPECT_THAT(described(sample::port(Protocol::kUdp, "fd00::1", 53, "fd00:88::2", 53)),
              ElementsAre("publish6_ip { fd00::1 . udp . 53 : fd00:88::2 . 53 }",
                          "published_targets6 { fd00:88::2 . udp . 53 }"));
}

TEST(PublishedPortElements, UnspecifiedHostAddressMeansEveryAddress) {
  EXPECT_EQ(described(sample::port(Protocol::kTcp, "0.0.0.0", 8080, "10.88.0.2", 80)),
            described(sample::port(Protocol::kTcp, nullptr, 8080, "10.88.0.2", 80)));
  EXPECT_EQ(described(sample::port(Protocol::kTcp, "::", 8080, "fd00:88::2", 80)),
            described(sample::port(Protocol::kTcp, nullptr, 8080, "fd00:88::2", 80)));
}

TEST(PublishedPortElements, WithoutLocalMasqueradeThereIsNoTarget) {
  PublishedPort port = sample::port(Protocol::kTcp, nullptr, 8080, "10.88.0.2", 80);
  port.masquerade_local = false;
  EXPECT_THAT(described(port), ElementsAre("publish4 { tcp . 8080 : 10.88.0.2 . 80 }"));
}

TEST(PublishedPortElements, RangeThatKeepsItsNumbersIsOneInterval) {
  EXPECT_THAT(described(sample::port(Protocol::kTcp, "10.0.0.1", 9000, "10.88.0.2", 9000, 2)),
              ElementsAre("publish4_ip_ranges { 10.0.0.1 . tcp . 9000-9001 : 10.88.0.2 }",
                          "published_targets4 { 10.88.0.2 . tcp . 9000 }",
                          "published_targets4 { 10.88.0.2 . tcp . 9001 }"));
}

TEST(PublishedPortElements, ShiftedRangeIsOneElementAPort) {
  EXPECT_THAT(described(sample::port(Protocol::kTcp, nullptr, 6000, "10.88.0.2", 16000, 2)),
              ElementsAre("publish4 { tcp . 6000 : 10.88.0.2 . 16000 }",
                          "publish4 { tcp . 6001 : 10.88.0.2 . 16001 }",
                          "published_targets4 { 10.88.0.2 . tcp . 16000 }",
                          "published_targets4 { 10.88.0.2 . tcp . 16001 }"));
}

TEST(PublishedPortElements, TwoPortsToOneTargetNameItOnce) {
  const std::vector<PublishedPort> ports{sample::port(Protocol::kTcp, nullptr, 8080, "10.88.0.2", 80),
                                         sample::port(Protocol::kTcp, nullptr, 8081, "10.88.0.2", 80)};
  EXPECT_THAT(described(elements_of(ports)), ElementsAre("publish4 { tcp . 8080 : 10.88.0.2 . 80 }",
                                                         "publish4 { tcp . 8081 : 10.88.0.2 . 80 }",
                                                         "published_targets4 { 10.88.0.2 . tcp . 80 }"));
}

TEST(PublishedPortElements, LastPortAndFullRangeFit) {
  EXPECT_THAT(described(sample::port(Protocol::kTcp, nullptr, 65535, "10.88.0.2", 65535)).front(),
              "publish4 { tcp . 65535 : 10.88.0.2 . 65535 }");
  const PublishedPort all = sample::port(Protocol::kUdp, nullptr, 1, "10.88.0.2", 1, 65535);
  EXPECT_EQ(described(all).front(), "publish4_ranges { udp . 1-65535 : 10.88.0.2 }");
  EXPECT_EQ(described(all).size(), 65536U);
}

TEST(PublishedPortElements, NonsenseIsRefused) {
  using P = Protocol;
  EXPECT_EQ(refused_with(sample::port(P::kTcp, nullptr, 0, "10.88.0.2", 80)), ErrorCode::kInvalidConfig);
  EXPECT_EQ(refused_with(sample::port(P::kTcp, nullptr, 80, "10.88.0.2", 0)), ErrorCode::kInvalidConfig);
  EXPECT_EQ(refused_with(sample::port(P::kTcp, nullptr, 80, "10.88.0.2", 80, 0)), ErrorCode::kInvalidConfig);
  EXPECT_EQ(refused_with(sample::port(P::kTcp, nullptr, 65535, "10.88.0.2", 80, 2)),
            ErrorCode::kInvalidConfig);
  EXPECT_EQ(refused_with(sample::port(P::kTcp, nullptr, 80, "10.88.0.2", 65535, 2)),
            ErrorCode::kInvalidConfig);
  EXPECT_EQ(refused_with(sample::port(P::kTcp, "::1", 80, "10.88.0.2", 80)), ErrorCode::kInvalidConfig);
  EXPECT_EQ(refused_with(sample::port(P::kTcp, "0.0.0.0", 80, "fd00::2", 80)), ErrorCode::kInvalidConfig);
}

TEST(PublishedPortElements, TellThePortAgain) {
  for (PublishedPort port : sample::ports()) {
    const bool is_shifted = port.count > 1 && port.host_port != port.container_port;
    if (is_shifted) continue;  // comes back as single ports
    const PublishedPort read = published_port_of(elements_of({&port, 1}).front());
    if (port.host_ip && port.host_ip->is_unspecified()) port.host_ip.reset();
    port.masquerade_local = true;
    EXPECT_EQ(read, port);
  }
}

TEST(NetworkElements, FollowThePolicy) {
  NetworkPolicy network;
  network.network = "lab";
  network.link = "lab0";
  network.masquerade = {sample::prefix("10.88.3.1/16")};
  EXPECT_THAT(described(elements_of(network)),
              UnorderedElementsAre("own_links { \"lab0\" }", "same_links { \"lab0\" . \"lab0\" }",
                                   "masquerade4 { 10.88.0.0/16 : jump " + chain_name("lab") + " }"));
  EXPECT_THAT(described(unwanted_elements_of(network)),
              UnorderedElementsAre("guarded_links { \"lab0\" }", "isolated_links { \"lab0\" }",
                                   "internal_links { \"lab0\" }", "ingress_links { \"lab0\" }",
                                   "parted_links { \"lab0\" }"));
  network.ingress = Ingress::kSameBridge;
  EXPECT_THAT(described(elements_of(network)), ::testing::Contains("ingress_links { \"lab0\" }"));
  EXPECT_THAT(described(unwanted_elements_of(network)), ::testing::Contains("parted_links { \"lab0\" }"));
  EXPECT_THAT(unwanted_elements_of(sample::network()), IsEmpty());
}

TEST(NetworkElements, EmptyPolicyWantsNothing) {
  NetworkPolicy network;
  network.network = "lab";
  EXPECT_THAT(elements_of(network), IsEmpty());
  EXPECT_THAT(unwanted_elements_of(network), IsEmpty());
}

TEST(Ingress, IsWrittenAsItIsRead) {
  for (const Ingress ingress : {Ingress::kOpen, Ingress::kSameBridge, Ingress::kIsolated}) {
    EXPECT_EQ(parse_ingress(to_string(ingress)), ingress);
  }
  EXPECT_EQ(parse_ingress(""), Ingress::kOpen);
  EXPECT_EQ(parse_ingress("Isolated"), std::nullopt);
  EXPECT_EQ(parse_ingress("closed"), std::nullopt);
}

TEST(NetworkElements, TooLongALinkIsRefused) {
  NetworkPolicy network = sample::network();
  network.link = "sixteen-bytes-00";
  EXPECT_THROW((void)elements_of(network), Error);
}

}  // namespace
}  // namespace netctl::iptables
