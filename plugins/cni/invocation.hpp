#pragma once
// One call of a plugin as a value: what came through the environment and stdin, checked.

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "plugins/cni/result.hpp"

namespace netctl::cni {

enum class Command { kAdd, kDel, kCheck, kGc, kStatus, kVersion };
[[nodiscard]] std::string to_string(Command command);

/// CNI_ARGS: "K=V;K2=V2". Unknown keys are an error unless IgnoreUnknown=1|true is among them.
struct Args {
  std::map<std::string, std::string> values;
  bool ignore_unknown = false;

  /// The last one of equal keys counts. Errors: kInvalidEnvironment for a pair without exactly one '=', and for an
  /// IgnoreUnknown that is not 1, true, 0 or false.
  [[nodiscard]] static Args parse(const std::string& text);
  [[nodiscard]] std::optional<std::string> find(const std::string& key) const;
  /// Errors: kInvalidEnvironment naming the unknown pairs.
  void reject_unknown(const std::vector<std::string>& known) const;
};

/// An attachment that the runtime says is alive (GC).
struct ValidAttachment {
  std::string container_id;
  std::string ifname;
};

struct Invocation {
  Command command = Command::kVersion;
  std::string container_id, netns, ifname;  ///< as given; netns may be empty for DEL
  Args args;
  std::vector<std::string> path;  ///< directories of CNI_PATH
  nlohmann::json config;          ///< the whole object from stdin
  std::string config_text;        ///< the same as it was written
  std::string cni_version;        ///< of the configuration
  std::string network;            ///< `name`
  std::string type;               ///< `type`
  std::optional<Result> prev_result;
  std::string runtime;          ///< who calls, when a front end knows it
  bool netns_override = false;  ///< CNI_NETNS_OVERRIDE: the plugin's own namespace is allowed
  /// GC: nullopt when neither key is there or it is null (then only the provably dead may go).
  std::optional<std::vector<ValidAttachment>> valid_attachments;
};

/// Where a call comes from. Injected, so that the whole protocol is tested without a process.
struct Environment {
  std::map<std::string, std::string> variables;  ///< CNI_* only
  /// Returns what stdin holds, at most `limit` bytes; nullopt when there is more. Throws kIo.
  std::function<std::optional<std::string>(std::size_t limit)> read_stdin;
  std::function<void(const std::string&)> write_stdout;  ///< throws kIo when it cannot write all of it
  std::function<void(const std::string&)> write_stderr;
};

/// Checks in the order of the reference's skel: environment (all missing variables in one message, code 4), JSON (6; more
/// than 8 MiB or deeper than 64 levels: 6), name (7), version (1, with what is supported), prevResult (6).
/// CNI_PATH is asked for only when a plugin has to be found (find_plugin). A prevResult that cannot be read counts as
/// absent for DEL. VERSION fills `command` and `cni_version` (the newest when stdin names no supported one), no more.
[[nodiscard]] Invocation read_invocation(const Environment& environment);

/// The command that is asked for; nullopt when CNI_COMMAND is missing or empty. Errors: kInvalidEnvironment.
[[nodiscard]] std::optional<Command> command_of(const Environment& environment);

inline constexpr std::size_t kStdinLimitBytes = 8U << 20U;

}  // namespace netctl::cni
