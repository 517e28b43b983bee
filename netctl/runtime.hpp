#pragma once
// Acting as a container runtime does: the executables of a network's list are run one after the other, each with the
// result of the one before. Nothing is done in this process that a runtime could not do.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "netctl/conf.hpp"
#include "plugins/cni/invocation.hpp"

namespace netctl::cli {

struct Endpoint {
  std::string container_id;
  std::string netns;
  std::string ifname = "eth0";
  std::string args;                                          ///< CNI_ARGS
  nlohmann::json runtime_config = nlohmann::json::object();  ///< capability -> value
};

/// $CNI_PATH, or the directory of this executable.
[[nodiscard]] std::vector<std::string> plugin_path();

/// ADD of the whole list; when one fails the DELs of the whole list run in reverse order, as libcni's callers do.
/// Errors: the failing plugin's; kInvalidConfig when no plugin of the list has a capability that is asked for.
[[nodiscard]] nlohmann::json add_list(const NetworkConf& network, const Endpoint& endpoint);

/// DEL in reverse order. Every plugin is called; the first error is thrown at the end.
void del_list(const NetworkConf& network, const Endpoint& endpoint, const nlohmann::json& previous);

void check_list(const NetworkConf& network, const Endpoint& endpoint, const nlohmann::json& previous);

}  // namespace netctl::cli
