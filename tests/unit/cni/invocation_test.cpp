// The environment of a call.

#include "plugins/cni/invocation.hpp"

#include <gmock/gmock.h>

#include "tests/unit/cni/support.hpp"

namespace netctl::cni {
namespace {

using test::error_of;
using test::FakeCall;
using testing::ElementsAre;
using testing::HasSubstr;

FakeCall call_without(const std::string& command, const std::vector<std::string>& missing) {
  FakeCall call;
  call.variables["CNI_COMMAND"] = command;
  call.input = R"({"cniVersion":"1.1.0","name":"net","type":"bridge"})";
  for (const auto& name : missing) call.variables.erase(name);
  return call;
}

TEST(Invocation, HoldsTheCallAsGiven) {
  FakeCall call;
  call.variables["CNI_PATH"] = "/opt/cni/bin::/usr/lib/cni:";
  call.variables["CNI_ARGS"] = "IgnoreUnknown=1;IP=10.0.0.7";
  const Invocation invocation = call.read();
  EXPECT_EQ(invocation.command, Command::kAdd);
  EXPECT_EQ(invocation.container_id, "c1");
  EXPECT_EQ(invocation.netns, "/run/netns/a");
  EXPECT_EQ(invocation.ifname, "eth0");
  EXPECT_EQ(invocation.args.find("IP"), "10.0.0.7");
  EXPECT_THAT(invocation.path, ElementsAre("/opt/cni/bin", "/usr/lib/cni"));
  EXPECT_EQ(invocation.cni_version, "1.0.0");
  EXPECT_EQ(invocation.network, "net");
  EXPECT_EQ(invocation.type, "bridge");
  EXPECT_FALSE(invocation.prev_result);
  EXPECT_FALSE(invocation.netns_override);
  EXPECT_FALSE(invocation.valid_attachments);
}

TEST(Invocation, NamesAllMissingVariablesAtOnce) {
  const std::string id = "CNI_CONTAINERID", netns = "CNI_NETNS", ifname = "CNI_IFNAME";
  const std::vector<std::tuple<std::string, std::vector<std::string>, std::string>> cases{
      {"ADD", {id, netns, ifname}, "[CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME]"},
      {"ADD", {netns}, "[CNI_NETNS]"},
      {"CHECK", {id, netns, ifname}, "[CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME]"},
      {"DEL", {id, netns, ifname}, "[CNI_CONTAINERID,CNI_IFNAME]"},
  };
  for (const auto& [command, missing, expected] : cases) {
    auto call = call_without(command, missing);
    const Error error = error_of([&] { return call.read(); });
    EXPECT_EQ(error.code(), ErrorCode::kInvalidEnvironment);
    EXPECT_EQ(error.message(), "required env variables " + expected + " missing");
    for (const auto& name : missing) call.variables[name] = "";
    EXPECT_EQ(error_of([&] { return call.read(); }).message(), error.message()) << "empty is missing";
  }
}

TEST(Invocation, AsksNoMoreThanTheCommandNeeds) {
  EXPECT_EQ(call_without("DEL", {"CNI_NETNS", "CNI_PATH"}).read().netns, "");
  EXPECT_NO_THROW(static_cast<void>(call_without("ADD", {"CNI_PATH"}).read()));
  for (const char* command : {"GC", "STATUS", "VERSION"}) {
    auto call = call_without(command, {"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"});
    EXPECT_NO_THROW(static_cast<void>(call.read())) << command;
    for (const char* name : {"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS"})
      call.variables[name] = "";
    EXPECT_NO_THROW(static_cast<void>(call.read())) << command;
  }
}

TEST(Invocation, RefusesUnknownCommands) {
  for (const std::string name : {"FOO", "add", "ADD ", "ADD\n"}) {
    auto call = call_without(name, {});
    const Error error = error_of([&] { return call.read(); });
    EXPECT_EQ(error.code(), ErrorCode::kInvalidEnvironment);
    EXPECT_EQ(error.message(), "unknown CNI_COMMAND: " + name);
  }
  EXPECT_THAT(error_of([] { return call_without("", {}).read(); }).message(), HasSubstr("[CNI_COMMAND]"));
}

TEST(Invocation, RefusesBadContainerIdsAndInterfaceNames) {
  for (const std::string id : {"-a", "a/b", "../../etc", "a b", "a\n", "\xC3\xA9"}) {
    FakeCall call;
    call.variables["CNI_CONTAINERID"] = id;
    const Error error = error_of([&] { return call.read(); });
    EXPECT_EQ(error.code(), ErrorCode::kInvalidEnvironment) << id;
    EXPECT_EQ(error.details(), id);
  }
  for (const std::string name : {"sixteen-letters!", "..", "a/b", "a:b", "a b", "eth%d", "eth0\n"}) {
    FakeCall call;
    call.variables["CNI_IFNAME"] = name;
    EXPECT_EQ(error_of([&] { return call.read(); }).code(), ErrorCode::kInvalidEnvironment) << name;
  }
}

TEST(Invocation, TakesContainerIdsOfAnyLength) {
  for (const std::size_t length : {1U, 64U, 128U, 255U, 4096U}) {
    FakeCall call;
    call.variables["CNI_CONTAINERID"] = std::string(length, 'f');
    EXPECT_EQ(call.read().container_id.size(), length);
  }
}

TEST(Invocation, ReadsTheNetnsOverride) {
  for (const auto& [value, expected] :
       {std::pair("1", true), std::pair("TRUE", true), std::pair("true", true), std::pair("True", true),
        std::pair("", false), std::pair("0", false), std::pair("yes", false)}) {
    FakeCall call;
    call.variables["CNI_NETNS_OVERRIDE"] = value;
    EXPECT_EQ(call.read().netns_override, expected) << value;
  }
}

TEST(Invocation, ChecksTheEnvironmentBeforeStdin) {
  FakeCall call;
  call.input = "not JSON";
  call.variables["CNI_IFNAME"] = "..";
  EXPECT_EQ(error_of([&] { return call.read(); }).code(), ErrorCode::kInvalidEnvironment);
}

TEST(Args, ParsesPairs) {
  const Args args = Args::parse("IgnoreUnknown=TRUE;K8S_POD_NAME=w2;MAC=02:00:00:00:00:01;EMPTY=;MAC=last");
  EXPECT_TRUE(args.ignore_unknown);
  EXPECT_EQ(args.find("K8S_POD_NAME"), "w2");
  EXPECT_EQ(args.find("EMPTY"), "");
  EXPECT_EQ(args.find("MAC"), "last");
  EXPECT_EQ(args.find("mac"), std::nullopt);
  EXPECT_TRUE(Args::parse("").values.empty());
}

TEST(Args, RefusesWhatIsNoPair) {
  for (const std::string text : {"A", "A=1;", ";A=1", "A=1;;B=2", "A=1=2", "=1", ";", "A=1;B"}) {
    const Error error = error_of([&] { return Args::parse(text); });
    EXPECT_EQ(error.code(), ErrorCode::kInvalidEnvironment) << text;
    EXPECT_THAT(error.message(), HasSubstr("invalid pair")) << text;
  }
}

TEST(Args, ReadsIgnoreUnknownAsABoolean) {
  for (const char* yes : {"1", "true", "TRUE", "True"}) {
    EXPECT_TRUE(Args::parse(std::string("IgnoreUnknown=") + yes).ignore_unknown);
  }
  for (const char* no : {"0", "false", "FALSE"}) {
    EXPECT_FALSE(Args::parse(std::string("IgnoreUnknown=") + no).ignore_unknown);
  }
  for (const char* neither : {"", "2", "yes"}) {
    EXPECT_EQ(error_of([&] { return Args::parse(std::string("IgnoreUnknown=") + neither); }).code(),
              ErrorCode::kInvalidEnvironment);
  }
}

TEST(Args, RejectsUnknownKeysUnlessTold) {
  EXPECT_NO_THROW(Args::parse("IP=1;IgnoreUnknown=0").reject_unknown({"IP", "MAC"}));
  EXPECT_NO_THROW(Args::parse("X=1;IgnoreUnknown=1;Y=2").reject_unknown({"IP"}));
  const Error error = error_of([] { Args::parse("X=1;IP=2;Y=3").reject_unknown({"IP"}); });
  EXPECT_EQ(error.code(), ErrorCode::kInvalidEnvironment);
  EXPECT_THAT(error.message(), HasSubstr(R"(["X=1" "Y=3"])"));
}

}  // namespace
}  // namespace netctl::cni
