// The configuration on stdin.

#include <gmock/gmock.h>

#include "plugins/cni/invocation.hpp"
#include "plugins/cni/version.hpp"
#include "tests/unit/cni/support.hpp"

namespace netctl::cni {
namespace {

using nlohmann::json;
using test::error_of;
using test::FakeCall;
using testing::HasSubstr;

json config_with(const json& additions) {
  json config{{"cniVersion", "1.1.0"}, {"name", "net"}, {"type", "bridge"}};
  config.update(additions);
  return config;
}

Invocation read(const std::string& command, const json& additions) {
  FakeCall call;
  call.variables["CNI_COMMAND"] = command;
  call.set_config(config_with(additions));
  return call.read();
}

Error error_with_input(const std::string& input) {
  FakeCall call;
  call.input = input;
  return error_of([&] { return call.read(); });
}

TEST(Config, MustBeAJsonObject) {
  for (const std::string text :
       {"", "not JSON", "[]", "null", "1", "\"x\"", "{\"name\":\"net\"} {}", "{\"name\":"}) {
    EXPECT_EQ(error_with_input(text).code(), ErrorCode::kDecode) << text;
  }
  EXPECT_EQ(error_with_input(std::string(100000, '[')).code(), ErrorCode::kDecode);
}

TEST(Config, HasALimit) {
  const std::string most = R"({"cniVersion":"1.0.0","name":"net","x":")";
  FakeCall call;
  call.input = most + std::string(kStdinLimitBytes - most.size() - 2, 'x') + "\"}";
  EXPECT_NO_THROW(static_cast<void>(call.read()));
  const Error error = error_with_input(std::string(10U << 20U, ' '));
  EXPECT_EQ(error.code(), ErrorCode::kDecode);
  EXPECT_THAT(error.message(), HasSubstr("8 MiB"));
}

TEST(Config, NeedsAName) {
  for (const char* text :
       {R"({"cniVersion":"1.0.0"})", R"({"name":""})", R"({"name":null,"cniVersion":"9"})"}) {
    const Error error = error_with_input(text);
    EXPECT_EQ(error.code(), ErrorCode::kInvalidConfig);
    EXPECT_THAT(error.message(), HasSubstr("missing network name"));
  }
  for (const json& name : {json("a/b"), json(".."), json("a b"), json("net\n"), json(1), json::array()}) {
    const Error error = error_of([&] { return read("ADD", {{"name", name}}); });
    EXPECT_EQ(error.code(), ErrorCode::kInvalidConfig) << name;
  }
}

TEST(Config, TakesEveryPublishedVersionAndNoOther) {
  for (const auto& version : supported_versions()) {
    EXPECT_EQ(read("ADD", {{"cniVersion", version}}).cni_version, version);
  }
  for (const json& missing : {json(nullptr), json("")}) {
    EXPECT_EQ(read("ADD", {{"cniVersion", missing}}).cni_version, kVersionWhenMissing);
  }
  for (const char* other : {"1.0", "v1.0.0", "1.1.1", "2.0.0", " 1.0.0"}) {
    const Error error = error_of([&] { return read("ADD", {{"cniVersion", other}}); });
    EXPECT_EQ(error.code(), ErrorCode::kIncompatibleVersion);
    EXPECT_THAT(error.details(), testing::AllOf(HasSubstr(other), HasSubstr("0.1.0"), HasSubstr("1.1.0")));
  }
  EXPECT_EQ(error_of([] { return read("ADD", {{"cniVersion", 1}}); }).code(), ErrorCode::kInvalidConfig);
}

TEST(Config, RefusesTypesThatAreNoPlainNames) {
  for (const char* type : {"../bridge", "/bin/sh", "a\\b", "..", "."}) {
    EXPECT_EQ(error_of([&] {
                return read("ADD", {{"type", type}});
              }).code(),
              ErrorCode::kInvalidConfig)
        << type;
    const Error error = error_of([&] { return read("DEL", {{"ipam", {{"type", type}}}}); });
    EXPECT_EQ(error.code(), ErrorCode::kInvalidConfig) << type;
    EXPECT_THAT(error.message(), HasSubstr("ipam.type"));
  }
  EXPECT_NO_THROW(static_cast<void>(read("ADD", {{"type", nullptr}, {"ipam", json::object()}})));
  EXPECT_NO_THROW(static_cast<void>(read("ADD", {{"ipam", {{"type", ""}}}})));
}

TEST(Config, KeepsUnknownKeys) {
  EXPECT_EQ(read("ADD", {{"cni.dev/x", 1}, {"capabilities", {{"ips", true}}}}).config["cni.dev/x"], 1);
}

TEST(PrevResult, IsReadInTheVersionOfTheConfiguration) {
  const json ip{{"address", "10.0.0.2/24"}};
  EXPECT_EQ(read("ADD", {{"prevResult", {{"ips", json::array({ip})}}}}).prev_result->ips.size(), 1U);
  EXPECT_EQ(read("CHECK", {{"cniVersion", "0.2.0"}, {"prevResult", {{"ip4", {{"ip", "10.0.0.2/24"}}}}}})
                .prev_result->ips.size(),
            1U);
}

TEST(PrevResult, CountsAsAbsentWhenNullOrEmpty) {
  for (const char* command : {"ADD", "DEL", "CHECK"}) {
    EXPECT_FALSE(read(command, {{"prevResult", nullptr}}).prev_result);
    EXPECT_FALSE(read(command, {{"prevResult", json::object()}}).prev_result);
  }
}

TEST(PrevResult, ThatIsBrokenStopsAddAndCheckButNotDel) {
  for (const json& broken : {json("x"), json{{"ips", "x"}}, json{{"cniVersion", "0.1.0"}}, json(5)}) {
    for (const char* command : {"ADD", "CHECK"}) {
      const Error error = error_of([&] { return read(command, {{"prevResult", broken}}); });
      EXPECT_EQ(error.code(), ErrorCode::kDecode);
      EXPECT_THAT(error.message(), HasSubstr("prevResult"));
    }
    for (const char* command : {"DEL", "GC", "STATUS"}) {
      EXPECT_FALSE(read(command, {{"prevResult", broken}}).prev_result);
    }
  }
}

TEST(ValidAttachments, TellNothingFromNone) {
  const std::string key = "cni.dev/valid-attachments", old_key = "cni.dev/attachments";
  EXPECT_FALSE(read("GC", json::object()).valid_attachments);
  EXPECT_FALSE(read("GC", {{key, nullptr}, {old_key, nullptr}}).valid_attachments);
  EXPECT_TRUE(read("GC", {{key, json::array()}}).valid_attachments->empty());
  EXPECT_TRUE(read("GC", {{old_key, json::array()}}).valid_attachments->empty());
  EXPECT_FALSE(read("ADD", {{key, json::array()}}).valid_attachments) << "means something for GC only";
}

TEST(ValidAttachments, AreReadFromEitherKey) {
  const json one = json::array({json{{"containerID", "a"}, {"ifname", "eth0"}}});
  const json two = json::array({one[0], json{{"containerID", "b"}, {"ifname", "eth1"}}});
  const auto& both = read("GC", {{"cni.dev/valid-attachments", two}, {"cni.dev/attachments", one}});
  ASSERT_EQ(both.valid_attachments->size(), 2U);
  EXPECT_EQ(both.valid_attachments->at(1).container_id, "b");
  EXPECT_EQ(both.valid_attachments->at(1).ifname, "eth1");
  EXPECT_EQ(read("GC", {{"cni.dev/attachments", one}}).valid_attachments->size(), 1U);
}

TEST(ValidAttachments, ThatAreHalfAreRefused) {
  for (const json& broken :
       {json("x"), json::object(), json::array({"a"}), json::array({nullptr}),
        json::array({json{{"containerID", "a"}}}), json::array({json{{"ifname", "eth0"}}}),
        json::array({json{{"containerID", 1}, {"ifname", "eth0"}}})}) {
    const Error error = error_of([&] { return read("GC", {{"cni.dev/valid-attachments", broken}}); });
    EXPECT_EQ(error.code(), ErrorCode::kInvalidConfig) << broken;
  }
}

TEST(VersionCommand, EchoesASupportedVersionOnly) {
  const auto echoed = [](const std::string& input) {
    FakeCall call;
    call.variables = {
        {"CNI_COMMAND", "VERSION"}, {"CNI_NETNS", "dummy"}, {"CNI_IFNAME", "dummy"}, {"CNI_PATH", "dummy"}};
    call.input = input;
    return call.read().cni_version;
  };
  EXPECT_EQ(echoed(R"({"cniVersion":"1.0.0"})"), "1.0.0");
  EXPECT_EQ(echoed(R"({"cniVersion":"0.1.0"})"), "0.1.0");
  for (const std::string input : {"", "{}", "x", "[]", R"({"cniVersion":"9.0.0"})", R"({"cniVersion":1})"}) {
    EXPECT_EQ(echoed(input), kNewestVersion) << input;
  }
  EXPECT_EQ(echoed(std::string(10U << 20U, '[')), kNewestVersion);
}

}  // namespace
}  // namespace netctl::cni
