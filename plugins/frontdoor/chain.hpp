#pragma once
// Acting as a container runtime does: the plugins of a network's list work one after the other, each with the result of the
// one before. A front end calls those of ours that it has inside as functions; all others are executables.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "plugins/cni/invocation.hpp"
#include "plugins/cni/plugin.hpp"
#include "plugins/frontdoor/conf.hpp"

namespace netctl::frontdoor {

struct Endpoint {
  std::string container_id;
  std::string netns;
  std::string ifname = "eth0";
  std::string args;                                          ///< CNI_ARGS
  nlohmann::json runtime_config = nlohmann::json::object();  ///< capability -> value
  std::string runtime;      ///< who asks, for the record; only with `in_process`
  bool in_process = false;  ///< `bridge`, `portmap` and `none` are called, not started
};

/// The plugin of this type that is part of this executable; nullptr: it has to be started.
[[nodiscard]] const cni::Plugin* find_builtin(const std::string& type);

/// One call as a value, checked as the call of a process is. `config` is a plugin's whole configuration.
/// Errors: those of cni::read_invocation.
[[nodiscard]] cni::Invocation make_invocation(const Endpoint& endpoint, cni::Command command,
                                              const nlohmann::json& config);

/// $CNI_PATH, or the directory of this executable.
[[nodiscard]] std::vector<std::string> plugin_path();

/// ADD of the whole list; when one fails the DELs of the whole list run in reverse order, as libcni's callers do.
/// Errors: the failing plugin's; kInvalidConfig when no plugin of the list has a capability that is asked for.
[[nodiscard]] nlohmann::json add_list(const NetworkConf& network, const Endpoint& endpoint);

/// DEL in reverse order. Every plugin is called; the first error is thrown at the end.
void del_list(const NetworkConf& network, const Endpoint& endpoint, const nlohmann::json& previous);

void check_list(const NetworkConf& network, const Endpoint& endpoint, const nlohmann::json& previous);

}  // namespace netctl::frontdoor
