#include "plugins/engine/parts/bandwidth.hpp"

#include "base/error.hpp"
#include "plugins/engine/identity.hpp"
#include "tests/kernel/engine/chained_fixture.hpp"

namespace netctl::engine {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using testing::output_of;

class BandwidthTest : public ChainedTest {
 protected:
  BandwidthRequest request() {
    BandwidthRequest request;
    request.key = main_part().key;
    request.netns_path = box().path();
    return request;
  }
  BandwidthRequest both() {
    BandwidthRequest limits = request();
    limits.ingress = netlink::RateLimit{1'000'000, 100'000};
    limits.egress = netlink::RateLimit{2'000'000, 200'000};
    return limits;
  }
  void undo() { detach_part(engine(), request().key, kBandwidthPart); }
  std::string drift() {
    return error_of([&] { check(engine(), request().key, kBandwidthPart, std::nullopt); }).details();
  }
  static std::string tc(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "tc");
    return output_of(arguments);
  }
  /// What tc shows of the host, and its links.
  static std::string host_state() { return tc({"qdisc", "show"}) + snapshot(); }
  void expect_tc(const std::vector<std::string>& arguments, const std::string& text) {
    EXPECT_THAT(tc(arguments), HasSubstr(text));
  }
};

TEST_F(BandwidthTest, LimitsBothWaysAndLeavesNothing) {
  attach_by_hand(box());
  const std::string before = host_state();
  const auto device = limit_bandwidth(engine(), both());
  ASSERT_TRUE(device);
  EXPECT_EQ(device->name.size(), 15U);
  expect_tc({"qdisc", "show", "dev", "foreign0", "root"}, "tbf 6e63: root");
  expect_tc({"qdisc", "show", "dev", "foreign0", "root"}, "rate 8Mbit burst 100000b lat 25ms");
  expect_tc({"qdisc", "show", "dev", device->name, "root"}, "rate 16Mbit burst 200000b lat 25ms");
  expect_tc({"filter", "show", "dev", "foreign0", "ingress"},
            "mirred (Egress Redirect to device " + device->name);
  check(engine(), request().key, kBandwidthPart, std::nullopt);
  undo();
  EXPECT_EQ(host_state(), before);
  undo();
}

TEST_F(BandwidthTest, GoesWithTheMainPartToo) {
  const std::string before = host_state();
  add(main_part());
  limit_bandwidth(engine(), both());
  del(main_part());
  undo();
  EXPECT_EQ(host_state(), before);
}

TEST_F(BandwidthTest, LimitsOneWayAlone) {
  attach_by_hand(box());
  BandwidthRequest one = both();
  one.egress.reset();
  EXPECT_FALSE(limit_bandwidth(engine(), one));
  EXPECT_THAT(tc({"qdisc", "show"}), Not(HasSubstr("ingress")));
  undo();
  one = both();
  one.ingress.reset();
  EXPECT_TRUE(limit_bandwidth(engine(), one));
  EXPECT_THAT(tc({"qdisc", "show", "dev", "foreign0", "root"}), Not(HasSubstr("tbf")));
  check(engine(), request().key, kBandwidthPart, std::nullopt);
}

TEST_F(BandwidthTest, TakesRatesAndBurstsOfEverySize) {
  attach_by_hand(box());
  const struct {
    std::uint64_t rate;
    std::uint32_t burst;
    const char* shown;
  } cases[] = {
      {1, 4'294'967'294U, "rate 8bit"},
      {1'000, 536'870'911U, "rate 8Kbit"},           // what containerd sends for the burst
      {10'000'000'000U, 1'000'000U, "rate 80Gbit"},  // more than 32 bits of bytes
  };
  for (const auto& one : cases) {
    BandwidthRequest limits = request();
    limits.ingress = limits.egress = netlink::RateLimit{one.rate, one.burst};
    limit_bandwidth(engine(), limits);
    expect_tc({"qdisc", "show", "dev", "foreign0", "root"}, one.shown);
    check(engine(), request().key, kBandwidthPart, std::nullopt);
    limits.subnets = {sample::prefix("192.0.2.0/24")};
    limit_bandwidth(engine(), limits);
    expect_tc({"class", "show", "dev", "foreign0"}, one.shown);
    check(engine(), request().key, kBandwidthPart, std::nullopt);
    undo();
  }
}

TEST_F(BandwidthTest, PicksOutSubnets) {
  attach_by_hand(box());
  BandwidthRequest some = both();
  some.subnets = {sample::prefix("10.1.2.0/23"), sample::prefix("fd00:1:2:3:8000::/65"),
                  sample::prefix("0.0.0.0/0")};
  some.only_subnets = true;
  const auto device = limit_bandwidth(engine(), some);
  expect_tc({"qdisc", "show", "dev", "foreign0", "root"}, "htb 6e63: root refcnt");
  expect_tc({"qdisc", "show", "dev", "foreign0", "root"}, "default 0x1 ");
  expect_tc({"filter", "show", "dev", "foreign0"}, "match 0a010200/fffffe00 at 12");    // source
  expect_tc({"filter", "show", "dev", device->name}, "match 0a010200/fffffe00 at 16");  // destination
  expect_tc({"filter", "show", "dev", device->name}, "match 80000000/80000000 at 32");
  expect_tc({"filter", "show", "dev", device->name}, "match 00000000/00000000 at 0");
  expect_tc({"filter", "show", "dev", device->name}, "flowid 6e63:30");
  check(engine(), request().key, kBandwidthPart, std::nullopt);
  undo();
  some.only_subnets = false;
  limit_bandwidth(engine(), some);
  expect_tc({"qdisc", "show", "dev", "foreign0", "root"}, "default 0x30 ");
  expect_tc({"filter", "show", "dev", "foreign0"}, "flowid 6e63:1 ");
  undo();
  EXPECT_THAT(tc({"qdisc", "show"}), Not(HasSubstr("htb")));
}

TEST_F(BandwidthTest, GivesTwoInterfacesOfAContainerTwoDevices) {
  attach_by_hand(box());
  const auto first = limit_bandwidth(engine(), both());
  output_of({"ip", "link", "add", "foreign1", "type", "veth", "peer", "name", "eth1", "netns", box().path()});
  output_of({"ip", "link", "set", "foreign1", "up"});
  BandwidthRequest second = both();
  second.key.ifname = "eth1";
  const auto other = limit_bandwidth(engine(), second);
  EXPECT_NE(first->name, other->name);
  undo();
  check(engine(), second.key, kBandwidthPart, std::nullopt);
}

TEST_F(BandwidthTest, RefusesWhatItCannotLimit) {
  EXPECT_THAT(error_of([&] { limit_bandwidth(engine(), both()); }).message(), HasSubstr("no interface eth0"));
  box().run({"ip", "link", "add", "eth0", "type", "ifb"});
  EXPECT_THAT(error_of([&] { limit_bandwidth(engine(), both()); }).message(), HasSubstr("has no veth peer"));
  box().run({"ip", "link", "del", "eth0"});
  box().run({"ip", "link", "add", "eth0", "type", "veth", "peer", "name", "inside0"});
  EXPECT_THAT(error_of([&] { limit_bandwidth(engine(), both()); }).message(), HasSubstr("has no veth peer"));
  EXPECT_FALSE(record_of(main_part()));
}

TEST_F(BandwidthTest, LeavesTheDisciplinesOfOthersAlone) {
  attach_by_hand(box());
  for (const std::vector<std::string>& foreign :
       {std::vector<std::string>{"root", "handle", "1:", "tbf", "rate", "1mbit", "burst", "10000", "latency",
                                 "25ms"},
        std::vector<std::string>{"ingress"}}) {
    std::vector<std::string> command{"qdisc", "add", "dev", "foreign0"};
    command.insert(command.end(), foreign.begin(), foreign.end());
    tc(command);
    const std::string before = host_state();
    const Error error = error_of([&] { limit_bandwidth(engine(), both()); });
    EXPECT_EQ(error.code(), ErrorCode::kInvalidConfig);
    EXPECT_THAT(error.message(), HasSubstr("of somebody else"));
    EXPECT_EQ(host_state(), before);
    tc({"qdisc", "del", "dev", "foreign0", foreign.front()});
  }
}

TEST_F(BandwidthTest, FindsDriftOfEachKind) {
  attach_by_hand(box());
  const std::string device = limit_bandwidth(engine(), both())->name;
  undo();
  const struct {
    std::vector<std::string> damage;
    const char* finding;
  } cases[] = {
      {{"tc", "qdisc", "del", "dev", "foreign0", "root"}, "the ingress limit on foreign0 is gone"},
      {{"tc", "qdisc", "change", "dev", "foreign0", "root", "handle", "6e63:", "tbf", "rate", "9mbit",
        "burst", "9000", "latency", "25ms"},
       "the ingress limit on foreign0 was changed"},
      {{"tc", "qdisc", "del", "dev", device, "root"}, "the egress limit on "},
      {{"tc", "qdisc", "del", "dev", "foreign0", "ingress"}, "is not led through"},
      {{"tc", "filter", "del", "dev", "foreign0", "ingress"}, "is not led through"},
      {{"ip", "link", "set", device, "down"}, "is down"},
      {{"ip", "link", "del", device}, "is gone"},
  };
  for (const auto& one : cases) {
    limit_bandwidth(engine(), both());
    check(engine(), request().key, kBandwidthPart, std::nullopt);
    output_of(one.damage);
    EXPECT_THAT(drift(), HasSubstr(one.finding));
    undo();
    EXPECT_FALSE(link(device));
  }
  BandwidthRequest some = both();
  some.subnets = {sample::prefix("10.1.2.0/24")};
  limit_bandwidth(engine(), some);
  tc({"filter", "del", "dev", "foreign0"});
  EXPECT_THAT(drift(), HasSubstr("the ingress limit on foreign0 does not pick out 10.1.2.0/24"));
  tc({"class", "change", "dev", "foreign0", "classid", "6e63:30", "htb", "rate", "1mbit"});
  EXPECT_THAT(drift(), HasSubstr("the ingress limit on foreign0 was changed"));
}

TEST_F(BandwidthTest, IsUndoneWhenItsProcessDiesAnywhere) {
  attach_by_hand(box());
  const std::string before = host_state();
  die_after([&](Host& host) {
    limit_bandwidth(host, both());
    host.live().write([&](ipam::Transaction& store) {
      ipam::AttachmentRecord record = store.find_attachment(request().key).value();
      record.parts[kBandwidthPart] = ipam::State::kAdding;
      store.put_attachment(record);
    });
    ::_exit(0);
  });
  EXPECT_EQ(collect_garbage(engine(), std::nullopt).attachments, 1U);
  EXPECT_EQ(host_state(), before);
  // A device without its alias: the process died between making and naming it.
  die_after([&](Host& host) {
    const auto device = limit_bandwidth(host, both());
    host.live().write([&](ipam::Transaction& store) {
      ipam::AttachmentRecord record = store.find_attachment(request().key).value();
      record.parts[kBandwidthPart] = ipam::State::kAdding;
      store.put_attachment(record);
    });
    output_of({"ip", "link", "set", device->name, "alias", ""});
    output_of({"tc", "qdisc", "del", "dev", "foreign0", "ingress"});
    ::_exit(0);
  });
  EXPECT_EQ(collect_garbage(engine(), std::nullopt).attachments, 1U);
  EXPECT_EQ(host_state(), before);
}

TEST_F(BandwidthTest, OfTheDeadIsCollected) {
  const std::string before = host_state();
  Box mortal;
  attach_by_hand(mortal);
  BandwidthRequest limits = both();
  limits.netns_path = mortal.path();
  limit_bandwidth(engine(), limits);
  mortal.die();
  wait_until_gone("foreign0");
  EXPECT_EQ(collect_garbage(engine(), std::nullopt).attachments, 1U);
  EXPECT_EQ(host_state(), before);
}

TEST_F(BandwidthTest, KnowsOrphanedDevicesByTheirAlias) {
  const std::string name = "bwp0123456789ab";
  output_of({"ip", "link", "add", name, "type", "ifb"});
  output_of({"ip", "link", "set", name, "alias", link_alias(request().key, {})});
  EXPECT_EQ(collect_garbage(engine(), std::nullopt).links, 1U);
  EXPECT_FALSE(link(name));
}

TEST_F(BandwidthTest, CanSayBeforehandWhetherTheKernelCan) {
  const std::string before = host_state();
  require_shaping();
  EXPECT_EQ(host_state(), before);
}

}  // namespace
}  // namespace netctl::engine
