// Requests byte by byte as etcd wants them, and answers that are refused because something is missing or misspelt.

#include "plugins/overlay/source/etcd_message.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "plugins/overlay/source/base64.hpp"
#include "plugins/overlay/source/record.hpp"

namespace netctl::overlay {
namespace {

using etcd::Json;
using testing::HasSubstr;

TEST(Base64, VectorsOfRfc4648) {
  const std::vector<std::pair<std::string, std::string>> vectors{{"", ""},
                                                                 {"f", "Zg=="},
                                                                 {"fo", "Zm8="},
                                                                 {"foo", "Zm9v"},
                                                                 {"foob", "Zm9vYg=="},
                                                                 {"fooba", "Zm9vYmE="},
                                                                 {"foobar", "Zm9vYmFy"},
                                                                 {std::string("\0\xff", 2), "AP8="}};
  for (const auto& [bytes, text] : vectors) {
    EXPECT_EQ(to_base64(bytes), text);
    EXPECT_EQ(from_base64(text), bytes);
  }
}

TEST(Base64, RefusesWhatIsNotWhole) {
  for (const char* text :
       {"Z", "Zg", "Zg=", "Zg===", "Zm9v!", "Z=g=", "====", "Zh==", "Zm9=", "Zm 9", "Zm9v\n"}) {
    EXPECT_EQ(from_base64(text), std::nullopt) << text;
  }
}

TEST(EtcdRequest, TransactionComparesWhatWasSeen) {
  const Json request = etcd::txn_request({{"a", 0}, {"b", 9007199254740993}}, {etcd::put("a", "1", 5)},
                                         {etcd::range_of("p/")});
  EXPECT_EQ(request.dump(),
            R"({"compare":[{"create_revision":"0","key":"YQ==","result":"EQUAL","target":"CREATE"},)"
            R"({"key":"Yg==","mod_revision":"9007199254740993","result":"EQUAL","target":"MOD"}],)"
            R"("failure":[{"request_range":{"key":"cC8=","range_end":"cDA="}}],)"
            R"("success":[{"request_put":{"key":"YQ==","lease":"5","value":"MQ=="}}]})");
}

TEST(EtcdRequest, WatchGoesOnFromARevision) {
  EXPECT_EQ(
      etcd::watch_request("p/", 8).dump(),
      R"({"create_request":{"key":"cC8=","progress_notify":true,"range_end":"cDA=","start_revision":"8"}})");
}

const char* const kHeader = R"("header":{"cluster_id":"7","member_id":"1","revision":"4","raft_term":"2"})";

Json with_header(const std::string& rest) { return Json::parse(std::string("{") + kHeader + rest + "}"); }

TEST(EtcdAnswer, WholeRange) {
  const auto reply = etcd::read_range(with_header(
      R"(,"kvs":[{"key":"YQ==","create_revision":"2","mod_revision":"3","version":"2","value":"MQ==",)"
      R"("lease":"9"}],"count":"1")"));
  ASSERT_EQ(reply.kvs.size(), 1U);
  EXPECT_EQ(reply.header.revision, 4);
  EXPECT_EQ(reply.header.cluster, 7U);
  EXPECT_EQ(reply.kvs[0].key, "a");
  EXPECT_EQ(reply.kvs[0].value, "1");
  EXPECT_EQ(reply.kvs[0].mod_revision, 3);
  EXPECT_EQ(reply.kvs[0].lease, 9);
  EXPECT_TRUE(etcd::read_range(with_header("")).kvs.empty());
}

TEST(EtcdAnswer, RangeWithALieIsRefused) {
  const std::vector<std::string> lies{
      R"(,"kvss":[])",
      R"(,"count":"1")",
      R"(,"more":true)",
      R"(,"kvs":{})",
      R"(,"kvs":[{"key":"YQ==","value":"MQ==","mod_revision":"3","version":"1"}],"count":"1")",
      R"(,"kvs":[{"key":"YQ","value":"MQ==","create_revision":"3","mod_revision":"3","version":"1"}],"count":"1")",
      R"(,"kvs":[{"key":"YQ==","create_revision":"3","mod_revision":"3","version":"1"}],"count":"1")",
      R"(,"kvs":[{"key":"YQ==","value":"MQ==","create_revision":"3","mod_revision":"-3","version":"1"}],"count":"1")",
      R"(,"kvs":[{"key":"YQ==","value":"MQ==","create_revision":"x","mod_revision":"3","version":"1"}],"count":"1")",
      R"(,"kvs":[{"key":"YQ==","value":"MQ==","create_revision":"3","mod_revision":"99999999999999999999"}],"count":"1")",
      R"(,"kvs":[{"key":"YQ==","valu":"MQ==","create_revision":"3","mod_revision":"3","version":"1"}],"count":"1")"};
  for (const std::string& lie : lies) EXPECT_THROW((void)etcd::read_range(with_header(lie)), Error) << lie;
  for (const char* header : {"{}", R"({"header":{}})", R"({"header":{"cluster_id":"7"}})", "[]", "7",
                             R"({"header":{"cluster_id":"7","member_id":"1","revison":"4"}})",
                             R"({"header":{"cluster_id":"7","member_id":"1","revision":"0"}})"}) {
    EXPECT_THROW((void)etcd::read_range(Json::parse(header)), Error) << header;
  }
}

TEST(EtcdAnswer, ErrorWithStatus200IsARefusal) {
  try {
    (void)etcd::parse_answer(
        R"({"error":"etcdserver: mvcc: no space","code":8,"message":"etcdserver: no space"})",
        "a transaction");
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.message(), HasSubstr("no space"));
    EXPECT_THAT(error.message(), HasSubstr("a transaction"));
  }
  EXPECT_THROW((void)etcd::parse_answer("", "x"), Error);
  EXPECT_THROW((void)etcd::parse_answer("<html>", "x"), Error);
  EXPECT_THROW((void)etcd::parse_answer(R"({"header":{"cluster_id":"7")", "x"), Error);
}

TEST(EtcdAnswer, TransactionThatLostSaysNothingOfIt) {
  const auto reply = etcd::read_txn(
      with_header(R"(,"responses":[{"response_range":{"header":{"revision":"4"},"count":"0"}}])"));
  EXPECT_FALSE(reply.succeeded);
  EXPECT_THROW((void)etcd::read_txn(with_header(R"(,"succeded":true,"responses":[])")), Error);
  EXPECT_THROW((void)etcd::read_txn(with_header(R"(,"succeeded":"true","responses":[])")), Error);
  EXPECT_THROW((void)etcd::read_txn(with_header(R"(,"succeeded":true)")), Error);
}

TEST(EtcdAnswer, RenewalOfALeaseThatEndedHasNoTime) {
  EXPECT_EQ(etcd::read_keepalive(Json::parse(R"({"result":{"header":{},"ID":"5"}})")).ttl_seconds, 0);
  EXPECT_EQ(etcd::read_keepalive(Json::parse(R"({"result":{"ID":"5","TTL":"30"}})")).ttl_seconds, 30);
  EXPECT_THROW((void)etcd::read_keepalive(Json::parse(R"({"result":{"TTL":"30"}})")), Error);
  EXPECT_THROW((void)etcd::read_keepalive(Json::parse(R"({"result":{"ID":"5","TTl":"30"}})")), Error);
}

TEST(EtcdAnswer, WatchEvents) {
  const std::string event = R"({"type":"DELETE","kv":{"key":"YQ==","mod_revision":"4"}})";
  const auto of = [](const std::string& events) {
    return etcd::read_watch(Json{{"result", with_header(",\"events\":[" + events + "]")}});
  };
  ASSERT_EQ(of(event).events.size(), 1U);
  EXPECT_TRUE(of(event).events[0].deleted);
  EXPECT_THROW((void)of(R"({"typ":"DELETE","kv":{"key":"YQ==","mod_revision":"4"}})"), Error);
  EXPECT_THROW((void)of(R"({"type":"DELET","kv":{"key":"YQ==","mod_revision":"4"}})"), Error);
  EXPECT_THROW((void)of(R"({"kv":{"key":"YQ==","mod_revision":"4"}})"), Error);
  EXPECT_THROW((void)of(R"({"type":"DELETE"})"), Error);
}

OverlayConfig small_config() {
  OverlayConfig config;
  config.network = "lab";
  config.subnets = {*IpPrefix::parse("10.64.0.0/16"), *IpPrefix::parse("fd64::/62")};
  return config;
}

TEST(BlockPlan, NumbersAndBlocks) {
  const BlockPlan plan(small_config());
  EXPECT_EQ(plan.count(), 4U);
  const std::vector<IpPrefix> third{*IpPrefix::parse("10.64.3.0/24"), *IpPrefix::parse("fd64:0:0:3::/64")};
  EXPECT_EQ(plan.blocks(3), third);
  EXPECT_EQ(plan.number_of(third), 3U);
  EXPECT_EQ(plan.number_of({third[0]}), std::nullopt);
  EXPECT_EQ(plan.number_of({third[0], *IpPrefix::parse("fd64:0:0:2::/64")}), std::nullopt);
  EXPECT_EQ(plan.number_of({*IpPrefix::parse("10.65.0.0/24"), third[1]}), std::nullopt);
}

TEST(NodeRecord, ThereAndBack) {
  const NodeRecord record{
      {"host1", *IpAddress::parse("192.0.2.1"), BlockPlan(small_config()).blocks(1), 1400}, "id"};
  EXPECT_EQ(parse_record(to_text(record), "x"), record);
  for (const char* text :
       {"", "{}", "[]", R"({"node":"a"})", R"({"node":"a/b","identity":"i","vtep":"192.0.2.1","blocks":[]})",
        R"({"node":"a","identity":"i","vtep":"192.0.2","blocks":[]})",
        R"({"node":"a","identity":"i","vtep":"192.0.2.1","blocks":["x"]})",
        R"({"node":"a","identity":"i","vtep":"192.0.2.1","blocks":[7]})",
        R"({"node":"a","identity":"i","vtep":"192.0.2.1","blocks":[],"mtu":-1})"}) {
    EXPECT_THROW((void)parse_record(text, "x"), Error) << text;
  }
}

TEST(NodeRecord, WhatNodesHaveToAgreeOn) {
  OverlayConfig config = small_config();
  const std::string before = agreement(config);
  config.node = "other";
  config.mtu_bytes = 1300;
  EXPECT_EQ(agreement(config), before);
  config.block_length_v4 = 25;
  EXPECT_NE(agreement(config), before);
}

}  // namespace
}  // namespace netctl::overlay
