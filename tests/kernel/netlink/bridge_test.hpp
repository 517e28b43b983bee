#pragma once
// A private host with one bridge, which most of what netlink does needs something to do it on.

#include "netlink/address.hpp"
#include "netlink/link.hpp"
#include "tests/support/netns_test.hpp"

namespace netctl::netlink {

/// The bridge is br0, 02:00:00:00:00:0a, and still down.
class BridgeTest : public testing::NetnsTest {
 protected:
  void SetUp() override {
    NetnsTest::SetUp();
    if (HasFatalFailure()) return;
    BridgeSpec bridge;
    bridge.name = "br0";
    bridge.mac = *MacAddress::parse("02:00:00:00:00:0a");
    route().transact(create_bridge(bridge));
    index_ = find_link(route(), "br0")->index;
  }

  void add(const char* address, DuplicateDetection detection = DuplicateDetection::kOff) {
    route().transact(add_address(index_, *IpPrefix::parse(address), detection));
  }

  std::uint32_t index_ = 0;
};

}  // namespace netctl::netlink
