#include <gtest/gtest.h>

#include "plugins/engine/network_setup.hpp"
#include "tests/unit/engine/sample.hpp"

namespace netctl::engine {
namespace {

using sample::prefix;

iptables::NetworkPolicy full_policy() {
  iptables::NetworkPolicy policy;
  policy.network = "blue";
  policy.link = "br-blue";
  policy.masquerade = {prefix("10.1.0.0/24"), prefix("fd00:1::/64")};
  policy.masquerade_exclude = {prefix("10.0.0.0/8"), prefix("192.168.1.7/32")};
  policy.publishes = true;
  policy.isolated = true;
  policy.internal = true;
  return policy;
}

TEST(PolicyJson, ComesBackAsItWent) {
  for (const bool publishes : {false, true}) {
    for (const bool isolated : {false, true}) {
      for (const bool internal : {false, true}) {
        iptables::NetworkPolicy policy = full_policy();
        policy.publishes = publishes;
        policy.isolated = isolated;
        policy.internal = internal;
        const std::string text = to_json(policy).dump();
        EXPECT_EQ(policy_from_json(nlohmann::json::parse(text)), policy) << text;
      }
    }
  }
  EXPECT_EQ(policy_from_json(to_json(iptables::NetworkPolicy{})), iptables::NetworkPolicy{});
}

TEST(PolicyJson, HasTheKeysThatStoresHold) {
  EXPECT_EQ(to_json(full_policy()), nlohmann::json::parse(R"({
    "network": "blue", "link": "br-blue",
    "masquerade": ["10.1.0.0/24", "fd00:1::/64"], "masqueradeExclude": ["10.0.0.0/8", "192.168.1.7/32"],
    "publishes": true, "isolated": true, "internal": true})"));
  iptables::NetworkPolicy tunnelled = full_policy();
  tunnelled.tunnelled = true;
  EXPECT_EQ(to_json(tunnelled).at("tunnelled"), true);
  EXPECT_EQ(policy_from_json(to_json(tunnelled)), tunnelled);
}

TEST(PolicyJson, ToleratesWhatAnotherVersionLeftOutOrAdded) {
  const iptables::NetworkPolicy policy = policy_from_json(
      nlohmann::json::parse(R"({"network": "blue", "masquerade": ["no prefix"], "later": 1})"));
  iptables::NetworkPolicy expected;
  expected.network = "blue";
  EXPECT_EQ(policy, expected);
}

NetworkPlan plan_of(const std::string& driver, const iptables::NetworkPolicy& policy) {
  NetworkPlan plan;
  plan.name = policy.network;
  plan.driver = driver;
  plan.is_main = driver == "bridge";
  plan.policy = policy;
  return plan;
}

TEST(MergedPolicy, IsThePlansWhereThereIsNoneYet) {
  EXPECT_EQ(merge_policy({}, plan_of("bridge", full_policy())), full_policy());
}

TEST(MergedPolicy, AddsSubnetsUpAndTakesTheSwitchesOfTheConfiguration) {
  ipam::NetworkRecord record;
  record.driver = "bridge";
  record.policy = to_json(full_policy());
  iptables::NetworkPolicy edited;
  edited.network = "blue";
  edited.link = "br-blue";
  edited.masquerade = {prefix("10.2.0.0/24"), prefix("10.1.0.0/24")};
  iptables::NetworkPolicy expected = edited;
  expected.masquerade = {prefix("10.1.0.0/24"), prefix("fd00:1::/64"), prefix("10.2.0.0/24")};
  expected.publishes = true;  // the ports of earlier containers
  EXPECT_EQ(merge_policy(record, plan_of("bridge", edited)), expected);
}

TEST(MergedPolicy, LeavesTheMainPluginsSwitchesAloneForAChainedOne) {
  ipam::NetworkRecord record;
  record.driver = "bridge";
  iptables::NetworkPolicy present = full_policy();
  present.publishes = false;
  record.policy = to_json(present);
  iptables::NetworkPolicy chained;
  chained.network = "blue";
  chained.link = "br-blue";
  chained.publishes = true;
  EXPECT_EQ(merge_policy(record, plan_of("portmap", chained)), full_policy());
}

}  // namespace
}  // namespace netctl::engine
