// A whole call, without a process around it.

#include "plugins/cni/plugin.hpp"

#include <csignal>
#include <new>
#include <stdexcept>

#include <gmock/gmock.h>

#include "tests/unit/cni/support.hpp"

namespace netctl::cni {
namespace {

using nlohmann::json;
using test::FakeCall;
using testing::HasSubstr;

/// Remembers which verbs ran.
struct Recorder {
  std::string verbs;
  Plugin plugin() {
    const auto note = [this](const char* verb) { return [this, verb](const Invocation&) { verbs += verb; }; };
    Plugin plugin;
    plugin.name = "bridge";
    plugin.about = "Connects containers to a bridge.";
    plugin.add = [this](const Invocation& invocation) {
      verbs += "add ";
      Result result;
      result.interfaces.push_back({invocation.ifname, "", invocation.netns, std::nullopt, "", ""});
      return result;
    };
    plugin.del = note("del ");
    plugin.check = note("check ");
    plugin.gc = note("gc ");
    plugin.status = note("status ");
    plugin.undo_add = note("undo ");
    plugin.plan = [](const Invocation& invocation) {
      return json{{"container", invocation.container_id}, {"netns", invocation.netns}};
    };
    return plugin;
  }
};

json error_printed(const FakeCall& call) {
  const json error = json::parse(call.output);
  EXPECT_TRUE(error.contains("cniVersion") && error.contains("msg") && error.contains("details")) << error;
  return error;
}

TEST(Run, PrintsTheResultOfAdd) {
  Recorder recorder;
  FakeCall call;
  EXPECT_EQ(run(recorder.plugin(), call.environment()), 0);
  EXPECT_EQ(json::parse(call.output),
            json::parse(R"({"cniVersion":"1.0.0","interfaces":[{"name":"eth0","sandbox":"/run/netns/a"}]})"));
  EXPECT_EQ(call.messages, "");
  EXPECT_EQ(recorder.verbs, "add ");
}

TEST(Run, PrintsNothingForTheOtherVerbs) {
  const std::vector<std::pair<std::string, std::string>> verbs{
      {"DEL", "del "}, {"CHECK", "check "}, {"GC", "gc "}, {"STATUS", "status "}};
  for (const auto& [command, verb] : verbs) {
    Recorder recorder;
    FakeCall call;
    call.variables["CNI_COMMAND"] = command;
    call.set_config({{"cniVersion", "1.1.0"}, {"name", "net"}, {"prevResult", {{"cniVersion", "1.1.0"}}}});
    EXPECT_EQ(run(recorder.plugin(), call.environment()), 0);
    EXPECT_EQ(recorder.verbs, verb);
    EXPECT_EQ(call.output + call.messages, "");
  }
}

TEST(Run, AcceptsVerbsThatThePluginDoesNotHave) {
  for (const char* command : {"ADD", "DEL", "CHECK", "GC", "STATUS"}) {
    FakeCall call;
    call.variables["CNI_COMMAND"] = command;
    call.set_config({{"cniVersion", "1.1.0"}, {"name", "net"}, {"prevResult", {{"dns", {{"domain", "d"}}}}}});
    EXPECT_EQ(run(Plugin{}, call.environment()), 0) << call.output;
    if (std::string(command) != "ADD") continue;
    EXPECT_EQ(json::parse(call.output), json::parse(R"({"cniVersion":"1.1.0","dns":{"domain":"d"}})"));
  }
}

TEST(Run, AnswersVersion) {
  FakeCall call;
  call.variables["CNI_COMMAND"] = "VERSION";
  call.input = R"({"cniVersion":"1.0.0"})";
  EXPECT_EQ(run(Plugin{}, call.environment()), 0);
  EXPECT_EQ(json::parse(call.output), json::parse(R"({"cniVersion":"1.0.0",
      "supportedVersions":["0.1.0","0.2.0","0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]})"));
}

TEST(Run, WithoutCommandTellsPeopleWhatItIs) {
  Recorder recorder;
  FakeCall call;
  call.variables.clear();
  EXPECT_EQ(run(recorder.plugin(), call.environment()), 0);
  EXPECT_EQ(call.output, "");
  EXPECT_THAT(call.messages, testing::AllOf(HasSubstr("Connects containers"), HasSubstr("1.1.0")));
}

TEST(Run, AnswersHelpAndVersionOptions) {
  for (const auto& [option, expected] :
       {std::pair("--version", NETCTL_VERSION), std::pair("--help", "--plan")}) {
    Recorder recorder;
    FakeCall call;
    call.variables.clear();
    EXPECT_EQ(run(recorder.plugin(), call.environment(), {option}), 0);
    EXPECT_THAT(call.output, HasSubstr(expected));
    EXPECT_EQ(recorder.verbs, "");
  }
}

TEST(Run, PrintsAPlanInsteadOfAdding) {
  Recorder recorder;
  FakeCall call;
  EXPECT_EQ(run(recorder.plugin(), call.environment(), {"--plan"}), 0);
  EXPECT_EQ(json::parse(call.output), json::parse(R"({"container":"c1","netns":"/run/netns/a"})"));
  call.output.clear();
  call.variables.erase("CNI_COMMAND");
  call.variables.erase("CNI_NETNS");
  EXPECT_EQ(run(recorder.plugin(), call.environment(), {"--plan"}), 0);
  EXPECT_EQ(json::parse(call.output)["netns"], "");
  EXPECT_EQ(recorder.verbs, "");
  call.output.clear();
  call.variables.erase("CNI_IFNAME");
  EXPECT_EQ(run(recorder.plugin(), call.environment(), {"--plan"}), 1);
  EXPECT_EQ(error_printed(call)["code"], 4);
  call.output.clear();
  EXPECT_EQ(run(Plugin{}, call.environment(), {"--plan"}), 1);
  EXPECT_EQ(error_printed(call)["code"], 4);
}

TEST(Run, AsksForTheVersionThatAVerbNeeds) {
  for (const auto& [command, version, code] :
       {std::tuple("CHECK", "0.3.1", 1), std::tuple("CHECK", "0.4.0", 0), std::tuple("GC", "1.0.0", 1),
        std::tuple("GC", "1.1.0", 0), std::tuple("STATUS", "1.0.0", 1), std::tuple("STATUS", "1.1.0", 0)}) {
    FakeCall call;
    call.variables["CNI_COMMAND"] = command;
    call.set_config({{"cniVersion", version}, {"name", "net"}, {"prevResult", {{"dns", json::object()}}}});
    EXPECT_EQ(run(Recorder{}.plugin(), call.environment()), code) << command << version << call.output;
    if (code != 0) {
      EXPECT_EQ(error_printed(call)["code"], code);
      EXPECT_EQ(error_printed(call)["cniVersion"], version);
    }
  }
}

TEST(Run, NeedsAPrevResultForCheck) {
  FakeCall call;
  call.variables["CNI_COMMAND"] = "CHECK";
  EXPECT_EQ(run(Recorder{}.plugin(), call.environment()), 1);
  EXPECT_EQ(error_printed(call)["code"], 7);
}

TEST(Run, PrintsOneErrorObject) {
  Plugin plugin;
  plugin.name = "bridge";
  plugin.add = [](const Invocation&) -> Result {
    throw Error(ErrorCode::kPortTaken, "port 80 is taken\nby web", "tcp 0.0.0.0:80");
  };
  FakeCall call;
  EXPECT_EQ(run(plugin, call.environment()), 1);
  EXPECT_EQ(error_printed(call), json({{"cniVersion", "1.0.0"},
                                       {"code", 103},
                                       {"msg", "port 80 is taken\nby web"},
                                       {"details", "tcp 0.0.0.0:80"}}));
  EXPECT_EQ(call.messages, "bridge: port 80 is taken?by web\n");
}

TEST(Run, AnswersInTheNewestVersionWhenTheConfigurationHasNone) {
  for (const std::string input : {"x", R"({"name":"net","cniVersion":"7.0.0"})"}) {
    FakeCall call;
    call.input = input;
    EXPECT_EQ(run(Recorder{}.plugin(), call.environment()), 1);
    EXPECT_EQ(error_printed(call)["cniVersion"], "1.1.0");
  }
  FakeCall call;
  call.input = R"({"name":"net","cniVersion":"0.4.0","prevResult":5})";
  EXPECT_EQ(run(Recorder{}.plugin(), call.environment()), 1);
  EXPECT_EQ(error_printed(call)["cniVersion"], "0.4.0");
}

TEST(Run, TurnsEveryOtherExceptionIntoAnInternalError) {
  const std::vector<std::function<Result(const Invocation&)>> ways{
      [](const Invocation&) -> Result { throw std::bad_alloc(); },
      [](const Invocation&) -> Result { throw std::runtime_error("unforeseen"); },
      [](const Invocation&) -> Result { throw 5; },
      [](const Invocation&) { return Result::from_json(nlohmann::json::array().at(5), "1.0.0"); }};
  for (const auto& way : ways) {
    Plugin plugin;
    plugin.add = way;
    FakeCall call;
    EXPECT_EQ(run(plugin, call.environment()), 1);
    EXPECT_EQ(error_printed(call)["code"], 999);
  }
}

TEST(Run, TakesTheAddBackWhenItsResultCannotBePrinted) {
  for (const int number : {EPIPE, ENOSPC, EIO, EBADF}) {
    Recorder recorder;
    FakeCall call;
    call.stdout_errno = number;
    EXPECT_EQ(run(recorder.plugin(), call.environment()), 1);
    EXPECT_EQ(recorder.verbs, "add undo ");
    EXPECT_EQ(call.output, "");
    EXPECT_THAT(call.messages, HasSubstr("cannot print"));
  }
}

TEST(Run, ReportsAFailedTakingBackToo) {
  Recorder recorder;
  Plugin plugin = recorder.plugin();
  plugin.undo_add = [](const Invocation&) { throw Error(ErrorCode::kKernel, "the link stays"); };
  FakeCall call;
  call.stdout_errno = EPIPE;
  EXPECT_EQ(run(plugin, call.environment()), 1);
  EXPECT_THAT(call.messages, testing::AllOf(HasSubstr("the link stays"), HasSubstr("cannot print")));
}

TEST(Run, TakesTheAddBackWhenItsResultCannotBeWritten) {
  Recorder recorder;
  Plugin plugin = recorder.plugin();
  plugin.plan = nullptr;
  FakeCall call;
  auto environment = call.environment();
  environment.write_stdout = [&](const std::string& text) {
    if (recorder.verbs == "add ") throw std::bad_alloc();
    call.output += text;
  };
  EXPECT_EQ(run(plugin, environment), 1);
  EXPECT_EQ(recorder.verbs, "add undo ");
}

TEST(Run, SurvivesAStderrThatFails) {
  FakeCall call;
  call.input = "x";
  auto environment = call.environment();
  environment.write_stderr = [](const std::string&) { throw Error(ErrorCode::kIo, "no stderr"); };
  EXPECT_EQ(run(Plugin{}, environment), 1);
  EXPECT_EQ(error_printed(call)["code"], 6);
}

TEST(Run, PassesOnAnUnreadableStdin) {
  FakeCall call;
  auto environment = call.environment();
  environment.read_stdin = [](std::size_t) -> std::optional<std::string> {
    throw Error(ErrorCode::kIo, "gone");
  };
  EXPECT_EQ(run(Plugin{}, environment), 1);
  EXPECT_EQ(error_printed(call)["code"], 5);
}

TEST(Run, BlocksSignalsWhileItWorks) {
  sigset_t before{}, during{}, after{};
  ::sigprocmask(SIG_SETMASK, nullptr, &before);
  Plugin plugin;
  plugin.add = [&](const Invocation&) {
    ::sigprocmask(SIG_SETMASK, nullptr, &during);
    return Result{};
  };
  FakeCall call;
  EXPECT_EQ(run(plugin, call.environment()), 0);
  ::sigprocmask(SIG_SETMASK, nullptr, &after);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGPIPE}) {
    EXPECT_EQ(::sigismember(&during, signal), 1);
    EXPECT_EQ(::sigismember(&after, signal), ::sigismember(&before, signal));
  }
}

}  // namespace
}  // namespace netctl::cni
