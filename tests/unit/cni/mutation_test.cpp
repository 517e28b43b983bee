// Damaged configurations: whatever arrives, reading it gives a value or an Error, and the call answers with one document.

#include <random>

#include "plugins/cni/plugin.hpp"
#include "plugins/cni/runtime_config.hpp"
#include "tests/unit/cni/support.hpp"

namespace netctl::cni {
namespace {

using test::FakeCall;

constexpr int kMutations = 20000;

constexpr std::string_view kSeed =
    R"({"cniVersion":"1.1.0","name":"net","type":"bridge","ipam":{"type":"host-local",
"ranges":[[{"subnet":"10.1.0.0/16"}]]},"args":{"cni":{"ips":["10.1.0.9"],"mac":"02:00:00:00:00:02","labels":[{"key":"name",
"value":"web"}]}},"runtimeConfig":{"portMappings":[{"HostPort":8080,"ContainerPort":80,"Protocol":"tcp","HostIP":""},
{"hostPort":9000,"containerPort":9000,"protocol":"tcp,udp","range":3}],"ips":["10.1.0.5/16","fd00::5"],"mac":
"02:00:00:00:00:01","dns":{"Servers":["10.96.0.10"],"Options":null},"aliases":{"net":["a"]},"ipRanges":[[{"subnet":
"10.2.0.0/24","rangeStart":"10.2.0.9"}]]},"prevResult":{"interfaces":[{"name":"eth0","mac":"02:00:00:00:00:01","mtu":1500}],
"ips":[{"address":"10.1.0.5/16","interface":0}],"routes":[{"dst":"0.0.0.0/0","table":0}],"dns":{}},
"cni.dev/valid-attachments":[{"containerID":"a","ifname":"eth0"}]})";

constexpr std::array<std::string_view, 22> kFragments{
    "null", "-1",        "0",   "65536",    "1e400",   "18446744073709551616",
    "\"\"", "[]",        "{}",  "[[[[",     "\\u0000", "\\ud800",
    "\xFF", "true",      "1.5", "\"../x\"", ",",       "}",
    "\"",   "{\"a\":1}", "::",  "/129"};

std::string mutated(std::string text, std::mt19937& random) {
  const auto below = [&](std::size_t limit) { return static_cast<std::size_t>(random()) % limit; };
  for (std::size_t changes = 1 + below(4); changes > 0 && !text.empty(); --changes) {
    const std::size_t place = below(text.size());
    switch (below(5)) {
      case 0:
        text[place] = static_cast<char>(below(256));
        break;
      case 1:
        text.erase(place, 1 + below(8));
        break;
      case 2:
        text.insert(place, kFragments[below(kFragments.size())]);
        break;
      case 3: {  // another value in the place of one: the text stays JSON more often
        const std::size_t begin = text.find(':', place);
        const std::size_t end = begin == std::string::npos ? begin : text.find_first_of(",}]", begin);
        if (end != std::string::npos)
          text.replace(begin + 1, end - begin - 1, kFragments[below(kFragments.size())]);
        break;
      }
      default:
        text.insert(place, text.substr(below(text.size()), below(64)));
    }
  }
  return text;
}

TEST(Mutation, GivesAValueOrAnError) {
  std::mt19937 random(20241124);
  constexpr std::array<const char*, 5> kCommands{"ADD", "DEL", "CHECK", "GC", "STATUS"};
  int accepted = 0;
  for (int i = 0; i < kMutations; ++i) {
    FakeCall call;
    call.variables["CNI_COMMAND"] = kCommands[static_cast<std::size_t>(i) % kCommands.size()];
    call.input = mutated(std::string(kSeed), random);
    try {
      static_cast<void>(read_runtime_config(call.read()));
      ++accepted;
    } catch (const Error& error) {
      ASSERT_FALSE(error.message().empty()) << call.input;
    }
  }
  EXPECT_GT(accepted, kMutations / 50) << "most mutations no longer reach the code behind the parser";
  EXPECT_LT(accepted, kMutations);
}

TEST(Mutation, OfTheEnvironmentGivesOneDocument) {
  std::mt19937 random(7);
  Plugin plugin;
  plugin.add = [](const Invocation& invocation) {
    static_cast<void>(read_runtime_config(invocation));
    return invocation.prev_result.value_or(Result{});
  };
  for (int i = 0; i < kMutations / 10; ++i) {
    FakeCall call;
    call.variables["CNI_ARGS"] = "IgnoreUnknown=1;K8S_POD_NAME=w2;MAC=02:00:00:00:00:01;IP=10.90.0.50";
    for (auto& [name, value] : call.variables) {
      if (name != "CNI_COMMAND" && random() % 2 == 0) value = mutated(value, random);
    }
    call.input = random() % 2 == 0 ? std::string(kSeed) : mutated(std::string(kSeed), random);
    const int status = run(plugin, call.environment());
    const auto document = nlohmann::json::parse(call.output);
    ASSERT_EQ(document.contains("code"), status != 0) << call.output;
  }
}

}  // namespace
}  // namespace netctl::cni
