#include "netlink/socket.hpp"

#include <sys/socket.h>
#include <linux/rtnetlink.h>

#include <atomic>
#include <cstring>
#include <fstream>
#include <sstream>
#include <thread>

#include <gmock/gmock.h>

#include "netlink/address.hpp"
#include "netlink/link.hpp"
#include "netlink/route.hpp"
#include "tests/support/netns_test.hpp"

namespace netctl::netlink {
namespace {

using ::testing::HasSubstr;
using testing::ip_json;
using testing::open_socket_in;

constexpr std::uint32_t kLoopback = 1;

class SocketTest : public testing::NetnsTest {};

Route unreachable_route() {
  Route route;
  route.destination = *IpPrefix::parse("10.9.0.0/16");
  route.gateway = IpAddress::parse("10.77.0.1");
  route.link_index = kLoopback;
  return route;
}

Request bridge(int number) {
  BridgeSpec spec;
  spec.name = "br" + std::to_string(number);
  spec.mac = MacAddress::from_hash(static_cast<std::uint64_t>(number));
  return create_bridge(spec);
}

TEST_F(SocketTest, SaysWhatFailedInItsOwnAndTheKernelsWords) {
  route().transact(set_up(kLoopback));
  try {
    route().transact(add_route(unreachable_route()));
    FAIL() << "the kernel took a route through a gateway that nobody can reach";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kKernel);
    EXPECT_EQ(error.sys_errno(), ENETUNREACH);
    EXPECT_THAT(error.message(), HasSubstr("could not add route 10.9.0.0/16 via 10.77.0.1 on link 1: "));
    EXPECT_EQ(error.details(), "Nexthop has invalid gateway");
  }
}

TEST_F(SocketTest, SaysNothingMoreWhereTheKernelHasNoWords) {
  try {
    route().transact(set_mtu(4711, 1400));
    FAIL() << "there is no link 4711";
  } catch (const Error& error) {
    EXPECT_EQ(error.message(), "could not set the MTU to 1400 of link 4711: No such device");
    EXPECT_EQ(error.sys_errno(), ENODEV);
  }
}

TEST_F(SocketTest, ReturnsTheErrnoThatTheRequestTolerates) {
  const auto address = *IpPrefix::parse("10.1.0.1/32");
  EXPECT_EQ(route().transact(add_address(kLoopback, address, DuplicateDetection::kOff)), 0);
  EXPECT_EQ(route().transact(add_address(kLoopback, address, DuplicateDetection::kOff)), EEXIST);
  EXPECT_EQ(route().transact(delete_address(kLoopback, address)), 0);
  EXPECT_EQ(route().transact(delete_address(kLoopback, address)), EADDRNOTAVAIL);
}

TEST_F(SocketTest, GoesOnWithABatchAfterOneFailsAndNamesThatOne) {
  const std::vector<Request> batch{
      set_up(kLoopback),
      add_address(kLoopback, *IpPrefix::parse("10.1.0.1/32"), DuplicateDetection::kOff),
      add_route(unreachable_route()),
      set_mtu(4711, 1400),
      add_address(kLoopback, *IpPrefix::parse("10.1.0.2/32"), DuplicateDetection::kOff),
  };
  try {
    route().transact_all(batch);
    FAIL() << "two messages of the batch cannot succeed";
  } catch (const Error& error) {
    EXPECT_EQ(error.sys_errno(), ENETUNREACH) << "the first failure counts";
    EXPECT_EQ(error.details(), "Nexthop has invalid gateway");
  }
  const auto addresses = list_addresses(route(), kLoopback);
  EXPECT_THAT(addresses, ::testing::Contains(*IpPrefix::parse("10.1.0.2/32")))
      << "the last message was not reached";
  EXPECT_EQ(route().transact(set_up(kLoopback)), 0) << "an answer of the batch was left in the socket";
}

TEST_F(SocketTest, ToleratesInsideABatch) {
  const auto address = *IpPrefix::parse("10.1.0.1/32");
  const std::vector<Request> batch{add_address(kLoopback, address, DuplicateDetection::kOff),
                                   add_address(kLoopback, address, DuplicateDetection::kOff),
                                   set_up(kLoopback)};
  route().transact_all(batch);
  EXPECT_TRUE(find_link(route(), kLoopback)->up);
  route().transact_all({});
}

TEST_F(SocketTest, ReadsMoreAcksThanTheDefaultBufferHolds) {
  std::vector<Request> batch;
  for (unsigned i = 0; i < 2000; ++i) {
    const auto address = IpAddress::from_number(Family::kIpv6, (uint128{0xfd} << 120) | i);
    // Every second one fails, and a failure's answer is larger.
    batch.push_back(add_address(i % 2 == 0 ? kLoopback : 4711, {address, 128}, DuplicateDetection::kOff));
  }
  EXPECT_THROW(route().transact_all(batch), Error);
  EXPECT_EQ(list_addresses(route(), kLoopback).size(), 1000U);
}

TEST_F(SocketTest, StaysInTheNamespaceItWasOpenedIn) {
  const Netns container = make_container();
  Socket inside = open_socket_in(container, Bus::kRoute);
  inside.transact(set_up(kLoopback));
  EXPECT_TRUE(find_link(inside, kLoopback)->up);
  EXPECT_FALSE(find_link(route(), kLoopback)->up);
  EXPECT_EQ(inside.netns_cookie(), container.cookie());
  EXPECT_EQ(route().netns_cookie(), host().cookie());
  EXPECT_NE(inside.netns_cookie(), route().netns_cookie());
}

TEST_F(SocketTest, CanBeMoved) {
  Socket other = open_socket_in(make_container(), Bus::kRoute);
  const auto host_cookie = route().netns_cookie();
  other = std::move(route());
  EXPECT_EQ(other.netns_cookie(), host_cookie);
  EXPECT_EQ(other.transact(set_up(kLoopback)), 0);
}

TEST_F(SocketTest, FindsNothingWhereThereIsNothing) {
  EXPECT_EQ(find_link(route(), "nosuchlink"), std::nullopt);
  EXPECT_EQ(find_link(route(), 4711), std::nullopt);
  EXPECT_EQ(find_link(route(), 0), std::nullopt);
  EXPECT_EQ(find_link(route(), ""), std::nullopt);
  EXPECT_EQ(find_link(route(), "a-name-no-link-can-have"), std::nullopt);
}

TEST_F(SocketTest, FindsIndexesInItsOwnNamespace) {
  route().transact(bridge(7));
  EXPECT_EQ(route().find_link_index("br7"), find_link(route(), "br7")->index);
  EXPECT_EQ(route().find_link_index("lo"), kLoopback);
  for (const char* name : {"nosuchlink", "", "a-name-no-link-can-have"}) {
    EXPECT_EQ(route().find_link_index(name), std::nullopt) << name;
  }
  const Socket inside = open_socket_in(make_container(), Bus::kRoute);
  EXPECT_EQ(inside.find_link_index("br7"), std::nullopt);
}

TEST_F(SocketTest, RefusesAGetThatTheKernelRefuses) {
  Request request(RTM_GETLINK, 0, "look up a link in a strange way");
  request.header<ifinfomsg>().ifi_change = 1;
  try {
    (void)route().get(request);
    FAIL() << "the kernel does not check strictly";
  } catch (const Error& error) {
    EXPECT_EQ(error.sys_errno(), EINVAL);
    EXPECT_EQ(error.details(), "Invalid values in header for get link request");
  }
}

TEST_F(SocketTest, RefusesADumpThatTheKernelRefuses) {
  Request request(RTM_GETADDR, 0, "list the addresses of no link");
  request.header<ifaddrmsg>().ifa_index = 4711;
  try {
    (void)route().dump(request);
    FAIL() << "there is no link 4711";
  } catch (const Error& error) {
    EXPECT_EQ(error.sys_errno(), ENODEV);
    EXPECT_THAT(error.message(), HasSubstr("could not list the addresses of no link"));
  }
  EXPECT_EQ(route().transact(set_up(kLoopback)), 0);
}

TEST_F(SocketTest, ListsMoreThanOneBufferOfLinks) {
  for (int i = 0; i < 100; ++i) {
    route().transact(bridge(i));
  }
  EXPECT_EQ(list_links(route()).size(), 101U);
  EXPECT_EQ(ip_json({"link", "show"}).size(), 101U);
}

TEST_F(SocketTest, ListsWhileLinksComeAndGo) {
  for (int i = 0; i < 60; ++i) {
    route().transact(bridge(i));
  }
  std::atomic<bool> enough = false;
  std::thread disturbance([&enough] {
    Socket socket = Socket::open(Bus::kRoute);
    while (!enough) {
      socket.transact(bridge(1000));
      socket.transact(delete_link(find_link(socket, "br1000")->index));
    }
  });
  for (int i = 0; i < 20; ++i) {
    const auto links = list_links(route());
    EXPECT_GE(links.size(), 61U);
    EXPECT_LE(links.size(), 62U);
  }
  enough = true;
  disturbance.join();
}

/// The port number of the one route socket of this namespace.
std::uint32_t port_of_route_socket() {
  std::ifstream table("/proc/thread-self/net/netlink");
  std::string line;
  std::getline(table, line);  // headings
  while (std::getline(table, line)) {
    std::istringstream fields(line);
    std::string address;
    unsigned protocol = 0;
    std::uint32_t port = 0;
    fields >> address >> protocol >> port;
    if (protocol == NETLINK_ROUTE && port != 0) return port;
  }
  return 0;
}

TEST_F(SocketTest, DoesNotListenToOtherProcesses) {
  const std::uint32_t port = port_of_route_socket();
  ASSERT_NE(port, 0U);
  const UniqueFd liar(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  ASSERT_TRUE(liar);
  // Forged refusals of whatever the socket may ask next.
  for (std::uint32_t sequence = 0; sequence < 8; ++sequence) {
    struct {
      nlmsghdr header;
      nlmsgerr error;
    } forged{};
    forged.header.nlmsg_len = sizeof forged;
    forged.header.nlmsg_type = NLMSG_ERROR;
    forged.header.nlmsg_seq = sequence;
    forged.header.nlmsg_pid = port;
    forged.error.error = -EIO;
    sockaddr_nl target{};
    target.nl_family = AF_NETLINK;
    target.nl_pid = port;
    ASSERT_EQ(::sendto(liar.get(), &forged, sizeof forged, 0, reinterpret_cast<const sockaddr*>(&target),
                       sizeof target),
              static_cast<ssize_t>(sizeof forged))
        << std::strerror(errno);
  }
  EXPECT_EQ(route().transact(set_up(kLoopback)), 0);
  EXPECT_TRUE(find_link(route(), kLoopback)->up);
}

}  // namespace
}  // namespace netctl::netlink
