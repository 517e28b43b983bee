// Host switches: turned on for the first that needs them, handed over, put back with the last.

#include "netlink/sysctl.hpp"
#include "tests/kernel/engine/engine_fixture.hpp"

namespace netctl::engine {
namespace {

class ForwardingTest : public EngineTest {
 protected:
  static constexpr const char* kForward = "ipv4/ip_forward";
  static constexpr const char* kForward6 = "ipv6/conf/all/forwarding";

  AttachmentRequest blue() { return wanted("c1", blue_box_, "blue"); }
  AttachmentRequest red() {
    AttachmentRequest request = wanted("c2", red_box_, "red");
    request.addressing.sets = {{{sample::prefix("10.78.0.0/24"), {}, {}, {}}}};
    return request;
  }

 private:
  Box blue_box_, red_box_;
};

TEST_F(ForwardingTest, IsHandedOverAndPutBackWithTheLastNetwork) {
  ASSERT_EQ(sysctl(kForward), "0");
  add(blue());
  add(red());
  del(blue());
  EXPECT_EQ(sysctl(kForward), "1");
  EXPECT_EQ(network_record("red")->sysctls_before.at(kForward), "0");
  del(red());
  EXPECT_EQ(sysctl(kForward), "0");
}

TEST_F(ForwardingTest, IsPutBackInTheOtherOrderToo) {
  add(blue());
  add(red());
  del(red());
  EXPECT_EQ(sysctl(kForward), "1");
  del(blue());
  EXPECT_EQ(sysctl(kForward), "0");
}

TEST_F(ForwardingTest, IsHandedOnMoreThanOnce) {
  add(blue());
  add(red());
  del(blue());
  add(blue());
  del(red());
  EXPECT_EQ(sysctl(kForward), "1");
  del(blue());
  EXPECT_EQ(sysctl(kForward), "0");
}

TEST_F(ForwardingTest, StaysOnWhereItWasOn) {
  netlink::write_sysctl(kForward, "1");
  add(blue());
  del(blue());
  EXPECT_EQ(sysctl(kForward), "1");
}

TEST_F(ForwardingTest, TakesWhatTheKernelSwitchesWithItBackToo) {
  // The kernel switches this off when forwarding goes on, and on when it goes off, whatever it was.
  constexpr const char* kRedirects = "ipv4/conf/all/accept_redirects";
  for (const char* before : {"0", "1"}) {
    netlink::write_sysctl(kRedirects, before);
    add(blue());
    add(red());
    EXPECT_EQ(sysctl(kRedirects), "0");
    del(blue());
    del(red());
    EXPECT_EQ(sysctl(kForward), "0");
    EXPECT_EQ(sysctl(kRedirects), before);
  }
}

TEST_F(ForwardingTest, IsSwitchedOnForTheFamiliesInUseAlone) {
  add(blue());
  EXPECT_EQ(sysctl(kForward6), "0");
  const Box box;
  const AttachmentRequest dual = wanted_dual_stack("c3", box);
  add(dual);
  EXPECT_EQ(sysctl(kForward6), "1");
  del(dual);
  del(blue());
  EXPECT_EQ(sysctl(kForward6), "0");
  EXPECT_EQ(sysctl(kForward), "0");
}

TEST_F(ForwardingTest, IsNotTouchedByANetworkThatIsNoGateway) {
  AttachmentRequest request = blue();
  request.network.is_gateway = false;
  request.endpoint.default_gateway = false;
  add(request);
  EXPECT_EQ(sysctl(kForward), "0");
}

TEST_F(ForwardingTest, IsPutBackWhenTheFirstContainerFails) {
  AttachmentRequest request = blue();
  cni::ResultRoute unreachable;
  unreachable.destination = sample::prefix("192.0.2.0/24");
  unreachable.gateway = sample::address("198.51.100.1");
  request.addressing.routes = {unreachable};
  EXPECT_EQ(refusal(request).code(), ErrorCode::kKernel);
  EXPECT_EQ(sysctl(kForward), "0");
  EXPECT_FALSE(link("br-blue"));
}

TEST_F(ForwardingTest, PutsTheSwitchesOfAnAdoptedBridgeBack) {
  testing::output_of({"ip", "link", "add", "br-blue", "type", "bridge"});
  const std::string localnet = "ipv4/conf/br-blue/route_localnet";
  const std::string advertisements = sysctl("ipv6/conf/br-blue/accept_ra");
  AttachmentRequest request = blue();
  request.endpoint.ports = {mapping(8080, 80)};
  add(request);
  EXPECT_EQ(sysctl(localnet), "1");
  EXPECT_EQ(sysctl("ipv6/conf/br-blue/accept_ra"), "0");
  del(request);
  EXPECT_EQ(sysctl(localnet), "0");
  EXPECT_EQ(sysctl("ipv6/conf/br-blue/accept_ra"), advertisements);
}

}  // namespace
}  // namespace netctl::engine
