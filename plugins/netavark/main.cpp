// `netctl-netavark`: our drivers as a plugin of netavark, the network program of Podman.

#include <algorithm>
#include <string>
#include <vector>

#include "plugins/cni/json_text.hpp"
#include "plugins/cni/program.hpp"
#include "plugins/frontdoor/program.hpp"
#include "plugins/netavark/verbs.hpp"

namespace netctl::netavark {
namespace {

constexpr const char* kHelp = "netctl-netavark (netctl " NETCTL_VERSION
                              ")\n"
                              "Podman's netavark starts it as a plugin; link it into a folder of "
                              "netavark_plugin_dirs as netctl-bridge,\n"
                              "netctl-container-share and netctl-none, or as netctl. Then: podman network "
                              "create -d netctl-bridge NAME\n"
                              "  create, setup NETNS, teardown NETNS, info\n"
                              "  --version, --help\n";

void print(const nlohmann::json& document) { cni::print_to_standard_output(cni::to_text(document) + "\n"); }

void answer_setup(const std::string& netns_path) {
  const nlohmann::json call = frontdoor::read_document("netavark's call on stdin");
  const nlohmann::json status = setup(call, netns_path);
  try {
    print(status);
  } catch (...) {
    undo_setup(call);
    throw;
  }
}

void work(const std::vector<std::string>& arguments) {
  const std::string verb = arguments.empty() ? "--help" : arguments[0];
  const bool has_path = arguments.size() == 2;
  if (verb == "create" && arguments.size() == 1)
    return print(create(frontdoor::read_document("the network on stdin")));
  if (verb == "setup" && has_path) return answer_setup(arguments[1]);
  if (verb == "teardown" && has_path) return teardown(frontdoor::read_document("netavark's call on stdin"));
  if (verb == "info") return print(info());
  if (verb == "--help") return cni::print_to_standard_output(kHelp);
  if (verb == "--version")
    return cni::print_to_standard_output("netctl-netavark (netctl " NETCTL_VERSION ")\n");
  throw Error(ErrorCode::kInvalidConfig,
              "unknown call; netavark calls: create | setup NETNS | teardown NETNS | info",
              cni::shortened(verb));
}

void report(const Error& error) { print({{"error", frontdoor::one_line(error)}}); }

}  // namespace
}  // namespace netctl::netavark

int main(int argc, char** argv) {
  using namespace netctl;
  cni::prepare_program();
  const std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
  return frontdoor::run_guarded([&] { netavark::work(arguments); }, netavark::report) ? 0 : 1;
}
