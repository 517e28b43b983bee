#pragma once
// Running another plugin as the specification says (SPEC.md section 4): found in CNI_PATH by a plain name, with the same
// environment and a configuration on stdin. No shell; nothing but stdin, stdout, stderr is inherited.

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "plugins/cni/invocation.hpp"

namespace netctl::cni {

/// `type` of a delegate or IPAM must be a plain file name: no '/', '\\', NUL, "." or "..", at most 255 bytes.
/// Errors: kInvalidConfig.
void validate_plugin_name(const std::string& name, const std::string& path_in_config);

/// The executable in the first directory of `path` that has it (opened beneath the directory, a regular executable file).
/// Errors: kInvalidConfig naming the directories that were searched.
[[nodiscard]] std::string find_plugin(const std::string& name, const std::vector<std::string>& path);

/// Variables of a call; the inherited TRACEPARENT, TRACESTATE and BAGGAGE are passed on too.
struct DelegateCall {
  Command command = Command::kAdd;
  std::string container_id, netns, ifname, args;
  std::vector<std::string> path;
};

/// Runs it and returns what it printed (null when nothing). Its stderr is ours.
/// Errors: the delegate's own error object passes through unchanged; kDelegate when it printed none.
[[nodiscard]] nlohmann::json run_plugin(const std::string& executable, const DelegateCall& call,
                                        const nlohmann::json& config);

}  // namespace netctl::cni
