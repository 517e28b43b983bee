#include <unistd.h>

#include <array>

#include <gmock/gmock.h>

#include "base/error.hpp"
#include "plugins/overlay/overlay_config.hpp"

namespace netctl::overlay {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using Json = nlohmann::json;

Json node(unsigned number) {
  const std::string text = std::to_string(number);
  return {{"node", "n" + text}, {"vtep", "192.0.2." + text}, {"blocks", {"10.244." + text + ".0/24"}}};
}

Json good() {
  return {{"type", "overlay"},
          {"vni", 42},
          {"subnets", {"10.244.0.0/16"}},
          {"node", "n1"},
          {"nodes", {node(1), node(2)}}};
}

OverlayConfig read(const Json& config) { return read_overlay_config(config, "multi"); }

void expect_refused(const Json& config, const std::string& words,
                    ErrorCode code = ErrorCode::kInvalidConfig) {
  try {
    (void)read(config);
    ADD_FAILURE() << "accepted: " << config;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.message();
    EXPECT_THAT(error.message(), HasSubstr(words));
  }
}

Json with(Json config, const std::string& key, const Json& value) {
  config[key] = value;
  return config;
}

TEST(OverlayConfig, HasDefaults) {
  const OverlayConfig config = read(good());
  EXPECT_EQ(config.network, "multi");
  EXPECT_EQ(config.mode, Mode::kRouted);
  EXPECT_EQ(config.vni, 42U);
  EXPECT_EQ(config.port, 4789);
  EXPECT_EQ(config.node, "n1");
  EXPECT_EQ(config.vtep, std::nullopt);
  EXPECT_EQ(config.block_length_v4, 24);
  EXPECT_EQ(config.block_length_v6, 64);
  EXPECT_EQ(config.mtu_bytes, 0U);
  EXPECT_FALSE(config.encrypted);
  EXPECT_EQ(config.source, Source::kStatic);
  ASSERT_THAT(config.nodes, SizeIs(2));
  EXPECT_EQ(config.nodes[1].vtep, IpAddress::parse("192.0.2.2"));
  EXPECT_THAT(config.nodes[1].blocks, ElementsAre(*IpPrefix::parse("10.244.2.0/24")));
}

TEST(OverlayConfig, BlocksOfL2AreSmall) {
  Json config = good();
  config["mode"] = "l2";
  config["nodes"][0]["blocks"] = {"10.244.0.16/28"};
  config["nodes"][1]["blocks"] = {"10.244.0.32/28"};
  EXPECT_EQ(read(config).mode, Mode::kL2);
  EXPECT_EQ(read(config).block_length_v4, 28);
  EXPECT_EQ(read(config).block_length_v6, 124);
}

TEST(OverlayConfig, TheNodeIsTheHostByDefault) {
  std::array<char, 256> name{};
  ASSERT_EQ(::gethostname(name.data(), name.size()), 0);
  Json config = good();
  config.erase("node");
  EXPECT_EQ(read(config).node, name.data());
}

TEST(OverlayConfig, SourcesWithAnAgentNeedTheVtep) {
  Json config = good();
  config.erase("nodes");
  config["source"] = {{"type", "etcd"}, {"endpoints", {"http://127.0.0.1:2379"}}};
  expect_refused(config, "vtep: is needed");
  config["vtep"] = "eth0";
  OverlayConfig parsed = read(config);
  EXPECT_EQ(parsed.source, Source::kEtcd);
  EXPECT_EQ(parsed.vtep_interface, "eth0");
  EXPECT_EQ(parsed.source_options, Json({{"endpoints", {"http://127.0.0.1:2379"}}}));
  parsed = read(with(config, "vtep", "2001:db8::1"));
  EXPECT_EQ(parsed.vtep, IpAddress::parse("2001:db8::1"));
  EXPECT_EQ(parsed.vtep_interface, "");
  EXPECT_EQ(read(with(config, "source", "dir")).source, Source::kDirectory);
  EXPECT_EQ(read(with(config, "source", "evpn")).source, Source::kEvpn);
  expect_refused(with(config, "nodes", {node(1)}), "nodes: is for the source \"static\"");
}

TEST(OverlayConfig, TheDigestChangesWithEveryKey) {
  const std::string digest = read(good()).digest();
  EXPECT_EQ(read(good()).digest(), digest);
  for (const auto& [key, value] :
       std::vector<std::pair<std::string, Json>>{{"vni", 43},
                                                 {"port", 8472},
                                                 {"node", "n2"},
                                                 {"vtep", "192.0.2.1"},
                                                 {"vtep", "eth0"},
                                                 {"mtu", 1400},
                                                 {"blockLength4", 25},
                                                 {"blockLength6", 80},
                                                 {"subnets", {"10.240.0.0/12"}},
                                                 {"nodes", Json::array({node(1)})}}) {
    EXPECT_NE(read(with(good(), key, value)).digest(), digest) << key;
  }
}

TEST(OverlayConfig, RefusesWhatIsWrong) {
  Json config = good();
  config.erase("vni");
  expect_refused(config, "vni: is needed");
  config = good();
  config.erase("subnets");
  expect_refused(config, "subnets: is needed");
  expect_refused(with(good(), "vni", 1 << 24), "vni");
  expect_refused(with(good(), "vni", 0), "vni");
  expect_refused(with(good(), "port", 0), "port");
  expect_refused(with(good(), "port", 65536), "port");
  expect_refused(with(good(), "mode", "bridged"), "mode: must be");
  expect_refused(with(good(), "node", "-x"), "node");
  expect_refused(with(good(), "vtep", "no interface"), "vtep");
  expect_refused(with(good(), "vtep", "0.0.0.0"), "vtep");
  expect_refused(with(good(), "subnets", {"10.244.0.1/16"}), "write 10.244.0.0/16");
  expect_refused(with(good(), "subnets", {"10.244.0.0/16", "10.3.0.0/16"}), "two subnets of one IP version");
  expect_refused(with(good(), "blockLength4", 8), "larger block than the subnet");
  expect_refused(with(good(), "source", "gossip"), "source: must be");
  expect_refused(with(good(), "source", {{"type", "static"}, {"path", "/x"}}), "path",
                 ErrorCode::kUnsupportedField);
  expect_refused(with(good(), "nodes", Json::array()), "nodes: is needed");
  expect_refused(with(good(), "encrypted", true), "encrypted", ErrorCode::kUnsupportedField);
}

TEST(OverlayConfig, RefusesNodesThatCannotLiveTogether) {
  Json config = good();
  config["nodes"][1]["blocks"] = {"10.244.1.128/25"};
  expect_refused(config, "overlap");
  config = good();
  config["nodes"][1]["node"] = "n1";
  expect_refused(config, "two nodes are called n1");
  config = good();
  config["nodes"][1]["vtep"] = "192.0.2.1";
  expect_refused(config, "same VTEP address");
  config = good();
  config["nodes"][1]["vtep"] = "2001:db8::2";
  expect_refused(config, "different IP versions");
  config = good();
  config["nodes"][1]["blocks"] = {"10.3.0.0/24"};
  expect_refused(config, "not inside the overlay's subnet");
  config = good();
  config["nodes"][1]["block"] = "10.244.2.0/24";
  expect_refused(config, "nodes[1].block", ErrorCode::kUnsupportedField);
  config = good();
  config["nodes"][1].erase("vtep");
  expect_refused(config, "nodes[1].vtep: is needed");
}

}  // namespace
}  // namespace netctl::overlay
