#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/error.hpp"
#include "plugins/cni/invocation.hpp"
#include "plugins/cni/result.hpp"

namespace netctl::cni {

/// An executable's verbs. Missing ones are accepted and do nothing (VERSION is answered here).
struct Plugin {
  std::string name;
  std::string about;  ///< one line for people who start it by hand
  std::function<Result(const Invocation&)> add;
  std::function<void(const Invocation&)> del;
  std::function<void(const Invocation&)> check;
  std::function<void(const Invocation&)> gc;
  std::function<void(const Invocation&)> status;
  /// Takes an ADD back whose result could not be printed: the runtime will not know of it. Usually `del`.
  std::function<void(const Invocation&)> undo_add;
  /// `--plan` (instead of a CNI call): prints what ADD would do; nullopt when the plugin has none.
  std::function<nlohmann::json(const Invocation&)> plan;
};

/// Runs one call and returns the exit code. stdout gets exactly one JSON document or nothing. Signals that would end the
/// process in the middle (TERM, INT, HUP, PIPE) are blocked while it works. CHECK needs prevResult (7) and 0.4.0 (1), GC and
/// STATUS need 1.1.0 (1). Without CNI_COMMAND: about text on stderr, 0.
int run(const Plugin& plugin, const Environment& environment,
        const std::vector<std::string>& arguments = {}) noexcept;

/// run() with the process's own environment, stdin and stdout.
int run_process(const Plugin& plugin, int argc, char** argv) noexcept;

/// CNI's error object: cniVersion, code, msg, details.
[[nodiscard]] std::string error_json(const Error& error, const std::string& cni_version);

}  // namespace netctl::cni
