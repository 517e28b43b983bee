#include "plugins/cni/plugin.hpp"

#include <algorithm>
#include <new>

#include "plugins/cni/invocation_internal.hpp"
#include "plugins/cni/json_text.hpp"
#include "plugins/cni/signals_internal.hpp"
#include "plugins/cni/version.hpp"

namespace netctl::cni {
namespace {

std::string on_one_line(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20U || c == '\x7F') c = '?';
  }
  return text;
}

std::string versions_text() {
  std::string text;
  for (const auto& version : supported_versions()) text += (text.empty() ? "" : ", ") + version;
  return text;
}

std::string title_of(const Plugin& plugin) {
  return plugin.name + " (netctl " NETCTL_VERSION "), CNI versions " + versions_text() + "\n";
}

std::string about_of(const Plugin& plugin) {
  return "CNI plugin " + title_of(plugin) + plugin.about +
         "\nContainer runtimes start it, with CNI_COMMAND in the environment. --help says more.\n";
}

std::string help_of(const Plugin& plugin) {
  std::string text = title_of(plugin) + plugin.about +
                     "\n\nA container runtime starts it with these variables, and the network configuration "
                     "(JSON) on stdin:\n"
                     "  CNI_COMMAND      ADD, DEL, CHECK, GC, STATUS or VERSION\n"
                     "  CNI_CONTAINERID  the container's id\n"
                     "  CNI_NETNS        path of its network namespace\n"
                     "  CNI_IFNAME       name of the interface in it\n"
                     "  CNI_ARGS         KEY=VALUE;KEY=VALUE\n"
                     "  CNI_PATH         where other plugins are looked for\n"
                     "\nBy hand:\n";
  if (plugin.plan) text += "  --plan     read the same and print what ADD would do; nothing is changed\n";
  return text + "  --version\n  --help\n";
}

/// One call: remembers what the answer to a failure needs.
class Call {
 public:
  Call(const Plugin& plugin, const Environment& environment) : plugin_(plugin), environment_(environment) {}

  void answer(const std::vector<std::string>& arguments);
  void report(const Error& error) noexcept;

 private:
  void print(const std::string& document);
  void say(const std::string& sentence) noexcept;
  void perform();
  void add();
  void take_back_add() noexcept;
  void print_plan();
  void print_versions();
  void require_version(std::string_view minimum) const;
  void perform_if_there(const std::function<void(const Invocation&)>& verb) const {
    if (verb) verb(invocation_);
  }

  const Plugin& plugin_;
  const Environment& environment_;
  Invocation invocation_;
  bool stdout_is_used_ = false;
};

void Call::answer(const std::vector<std::string>& arguments) {
  const auto has = [&](std::string_view option) {
    return std::find(arguments.begin(), arguments.end(), option) != arguments.end();
  };
  if (has("--version")) return print(title_of(plugin_));
  if (has("--help")) return print(help_of(plugin_));
  if (has("--plan")) return print_plan();
  const auto command = command_of(environment_);
  if (!command) return environment_.write_stderr(about_of(plugin_));
  read_into(invocation_, *command, environment_);
  perform();
}

void Call::perform() {
  switch (invocation_.command) {
    case Command::kAdd:
      return add();
    case Command::kDel:
      return perform_if_there(plugin_.del);
    case Command::kCheck:
      require_version("0.4.0");
      if (!invocation_.prev_result) {
        throw Error(ErrorCode::kInvalidConfig, "Required prevResult missing: CHECK needs the result of ADD");
      }
      return perform_if_there(plugin_.check);
    case Command::kGc:
      require_version("1.1.0");
      return perform_if_there(plugin_.gc);
    case Command::kStatus:
      require_version("1.1.0");
      return perform_if_there(plugin_.status);
    case Command::kVersion:
      return print_versions();
  }
}

void Call::add() {
  const Result result = plugin_.add ? plugin_.add(invocation_) : invocation_.prev_result.value_or(Result{});
  try {
    print(to_text(result.to_json(invocation_.cni_version)) + "\n");
  } catch (...) {
    take_back_add();
    throw;
  }
}

void Call::take_back_add() noexcept {
  try {
    perform_if_there(plugin_.undo_add);
  } catch (const std::exception& error) {
    say(error.what());
  } catch (...) {
    say("what ADD did could not be taken back");
  }
}

void Call::print_plan() {
  if (!plugin_.plan) throw Error(ErrorCode::kInvalidEnvironment, plugin_.name + " has no plan to print");
  read_into(invocation_, Command::kAdd, environment_, NetnsNeed::kOptional);
  print(to_text(plugin_.plan(invocation_), 2) + "\n");
}

void Call::print_versions() {
  const nlohmann::json answer{{"cniVersion", invocation_.cni_version},
                              {"supportedVersions", supported_versions()}};
  print(to_text(answer) + "\n");
}

void Call::require_version(std::string_view minimum) const {
  if (at_least(invocation_.cni_version, minimum)) return;
  throw Error(ErrorCode::kIncompatibleVersion,
              "config version does not allow " + to_string(invocation_.command) + ": set cniVersion to " +
                  std::string(minimum) + " or newer",
              "config is \"" + invocation_.cni_version + "\"");
}

void Call::print(const std::string& document) {
  stdout_is_used_ = true;
  environment_.write_stdout(document);
}

void Call::say(const std::string& sentence) noexcept {
  try {
    environment_.write_stderr(plugin_.name + ": " + on_one_line(sentence) + "\n");
  } catch (...) {
    return;  // stderr is for people; without it the error object still says everything
  }
}

void Call::report(const Error& error) noexcept {
  try {
    if (!stdout_is_used_) {
      const bool is_known = is_supported(invocation_.cni_version);
      print(error_json(error, is_known ? invocation_.cni_version : std::string(kNewestVersion)));
    }
  } catch (...) {
    say("the error could not be printed to stdout");
  }
  say(error.message());
}

}  // namespace

std::string error_json(const Error& error, const std::string& cni_version) {
  const nlohmann::json json{{"cniVersion", cni_version},
                            {"code", static_cast<unsigned>(error.code())},
                            {"msg", error.message()},
                            {"details", error.details()}};
  return to_text(json) + "\n";
}

int run(const Plugin& plugin, const Environment& environment,
        const std::vector<std::string>& arguments) noexcept {
  const BlockedSignals blocked;
  Call call(plugin, environment);
  try {
    call.answer(arguments);
    return 0;
  } catch (const Error& error) {
    call.report(error);
  } catch (const std::bad_alloc&) {
    // Unwinding has given back what the work had taken: the answer finds memory again.
    call.report(Error(ErrorCode::kInternal, "out of memory: give the runtime's control group more"));
  } catch (const std::exception& error) {
    call.report(Error(ErrorCode::kInternal, "internal error, a defect of netctl", error.what()));
  } catch (...) {
    call.report(Error(ErrorCode::kInternal, "internal error, a defect of netctl", "unknown exception"));
  }
  return 1;
}

}  // namespace netctl::cni
