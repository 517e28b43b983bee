#include "plugins/overlay/control/lease.hpp"

#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>

#include "base/error.hpp"

namespace netctl::overlay {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

IpAddress ip(const std::string& text) { return *IpAddress::parse(text); }
IpPrefix prefix(const std::string& text) { return *IpPrefix::parse(text); }

Node node(unsigned number) {
  const std::string text = std::to_string(number);
  return {"node-" + text, ip("192.0.2." + text), {prefix("10.244." + text + ".0/24")}, std::nullopt};
}

Lease lease() {
  Lease made;
  made.network = "multi";
  made.source = "etcd";
  made.configuration = "c0";
  made.node = "node-1";
  made.vni = 42;
  made.port = 8472;
  made.vtep = ip("192.0.2.1");
  made.mtu_bytes = 1450;
  made.subnets = {prefix("10.244.0.0/16"), prefix("fd00:244::/48")};
  made.blocks = {prefix("10.244.1.0/24"), prefix("fd00:244:0:1::/64")};
  made.revision = 7;
  made.confirmed_wall_seconds = 1700000000;
  made.expiry = Expiry{"boot-a", 90};
  return made;
}

std::string read_all(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

class LeaseTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = "/tmp/lease-test-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    root_ = name;
    state_ = name + "/state";
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void spoil(const std::string& text) { std::ofstream(lease_path(state_, "multi")) << text; }
  std::string text() { return read_all(lease_path(state_, "multi")); }
  /// The sentence of the error that the whole file is refused with.
  std::string complaint() {
    try {
      (void)read_membership(state_, "multi");
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kTryAgainLater);
      return error.message();
    }
    return "";
  }

  std::string root_, state_;
};

TEST_F(LeaseTest, IsReadAsItWasWritten) {
  EXPECT_EQ(read_lease(state_, "multi"), std::nullopt);
  EXPECT_EQ(read_membership(state_, "multi"), std::nullopt);
  Node narrow = node(2);
  narrow.mtu_bytes = 1400;
  EXPECT_TRUE(write_lease(state_, lease(), {narrow, node(1)}));
  EXPECT_EQ(read_lease(state_, "multi"), lease());
  const auto all = read_membership(state_, "multi");
  ASSERT_TRUE(all);
  EXPECT_EQ(all->lease, lease());
  EXPECT_THAT(all->nodes, ElementsAre(node(1), narrow));
  EXPECT_EQ(*all, make_membership(lease(), {narrow, node(1)}));
  EXPECT_EQ(read_lease_head(state_, "multi")->digest, all->digest);
}

TEST_F(LeaseTest, EveryFieldSurvives) {
  Lease full = lease();
  full.mode = Mode::kL2;
  full.encrypted = true;
  full.fenced = "not seen for a day";
  write_lease(state_, full, {node(1)});
  EXPECT_EQ(read_lease(state_, "multi"), full);
  full.expiry.reset();
  full.fenced.clear();
  write_lease(state_, full, {node(1)});
  EXPECT_EQ(read_lease(state_, "multi"), full);
}

TEST_F(LeaseTest, TellsWhetherTheKernelHasToBeProgrammedAnew) {
  Lease changing = lease();
  EXPECT_TRUE(write_lease(state_, changing, {node(1), node(2)}));
  changing.revision = 8;
  changing.confirmed_wall_seconds += 30;
  changing.expiry = Expiry{"boot-a", 91};
  changing.fenced = "for a test";
  EXPECT_FALSE(write_lease(state_, changing, {node(2), node(1)}));
  EXPECT_TRUE(write_lease(state_, changing, {node(2), node(1), node(3)}));
  changing.vni = 43;
  EXPECT_TRUE(write_lease(state_, changing, {node(2), node(1), node(3)}));
}

TEST_F(LeaseTest, LeavesNothingBesideTheFile) {
  write_lease(state_, lease(), {node(1)});
  write_lease(state_, lease(), {node(1), node(2)});
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(state_ + "/overlay"))
    names.push_back(entry.path().filename());
  EXPECT_THAT(names, ElementsAre("multi.lease.json"));
  remove_lease(state_, "multi");
  remove_lease(state_, "multi");
  EXPECT_FALSE(std::filesystem::exists(state_ + "/overlay"));
}

TEST_F(LeaseTest, DamageIsSeen) {
  write_lease(state_, lease(), {node(1), node(2)});
  const std::string good = text();
  ASSERT_EQ(complaint(), "");
  for (std::size_t length = 0; length < good.size() - 1; length += 7) {
    spoil(good.substr(0, length));
    EXPECT_THAT(complaint(), HasSubstr("multi.lease.json is damaged")) << length;
  }
  for (const auto& [from, to] : {std::pair<std::string, std::string>{"\"vni\":42", "\"vni\":43"},
                                 {"192.0.2.2", "192.0.2.9"},
                                 {"10.244.2.0/24", "10.244.9.0/24"},
                                 {"\"network\":\"multi\"", "\"network\":\"other\""}}) {
    std::string bad = good;
    ASSERT_NE(bad.find(from), std::string::npos) << from;
    spoil(bad.replace(bad.find(from), from.size(), to));
    EXPECT_THAT(complaint(), HasSubstr("is damaged")) << from;
  }
  EXPECT_TRUE(write_lease(state_, lease(), {node(1), node(2)}));  // whoever writes mends it
  EXPECT_EQ(complaint(), "");
}

TEST_F(LeaseTest, LinesOfTwoFilesDoNotBelongTogether) {
  write_lease(state_, lease(), {node(1)});
  const std::string first = text();
  write_lease(state_, lease(), {node(1), node(2)});
  const std::string second = text();
  spoil(first.substr(0, first.find('\n')) + second.substr(second.find('\n')));
  EXPECT_THAT(complaint(), HasSubstr("is damaged"));
}

TEST_F(LeaseTest, AnotherNetworksFileIsNoLease) {
  write_lease(state_, lease(), {node(1)});
  std::filesystem::copy(lease_path(state_, "multi"), lease_path(state_, "other"));
  EXPECT_THROW((void)read_lease(state_, "other"), Error);
}

TEST(LeaseRefusal, SaysWhy) {
  Lease good = lease();
  EXPECT_EQ(refusal(good, "boot-a", 89), std::nullopt);
  EXPECT_THAT(*refusal(good, "boot-a", 90), HasSubstr("another node may have its blocks"));
  EXPECT_THAT(*refusal(good, "boot-b", 1), HasSubstr("not confirmed since this host started"));
  good.expiry.reset();
  EXPECT_EQ(refusal(good, "boot-b", 1000), std::nullopt);
  good.fenced = "another node took 10.244.1.0/24";
  EXPECT_THAT(*refusal(good, "boot-a", 1), HasSubstr("another node took"));
  good.fenced.clear();
  good.blocks.clear();
  EXPECT_THAT(*refusal(good, "boot-a", 1), HasSubstr("no block"));
}

TEST(LeaseBootId, IsTheKernels) { EXPECT_EQ(read_boot_id().size(), 36U); }

}  // namespace
}  // namespace netctl::overlay
