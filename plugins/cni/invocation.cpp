#include "plugins/cni/invocation.hpp"

#include <algorithm>
#include <array>

#include "base/error.hpp"
#include "plugins/cni/config_reader.hpp"
#include "plugins/cni/delegate.hpp"
#include "plugins/cni/invocation_internal.hpp"
#include "plugins/cni/json_text.hpp"
#include "plugins/cni/names.hpp"
#include "plugins/cni/version.hpp"

namespace netctl::cni {
namespace {

struct NamedCommand {
  Command command;
  std::string_view name;
};

constexpr std::array<NamedCommand, 6> kCommands{{{Command::kAdd, "ADD"},
                                                 {Command::kDel, "DEL"},
                                                 {Command::kCheck, "CHECK"},
                                                 {Command::kGc, "GC"},
                                                 {Command::kStatus, "STATUS"},
                                                 {Command::kVersion, "VERSION"}}};

constexpr std::string_view kStdinName = "the network configuration on stdin";

std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  for (std::size_t end = 0; end != std::string::npos; begin = end + 1) {
    end = text.find(separator, begin);
    parts.push_back(text.substr(begin, end == std::string::npos ? end : end - begin));
  }
  return parts;
}

std::string joined(const std::vector<std::string>& parts, std::string_view separator) {
  std::string text;
  for (const auto& part : parts) {
    if (!text.empty()) text += separator;
    text += part;
  }
  return text;
}

std::string variable(const Environment& environment, const std::string& name) {
  const auto found = environment.variables.find(name);
  return found == environment.variables.end() ? std::string() : found->second;
}

bool is_about_attachment(Command command) {
  return command == Command::kAdd || command == Command::kDel || command == Command::kCheck;
}

void require_variables(const Environment& environment, Command command, NetnsNeed netns_need) {
  if (!is_about_attachment(command)) return;
  std::vector<std::string> needed{"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"};
  if (command == Command::kDel || netns_need == NetnsNeed::kOptional) needed.erase(needed.begin() + 1);
  needed.erase(std::remove_if(needed.begin(), needed.end(),
                              [&](const std::string& name) { return !variable(environment, name).empty(); }),
               needed.end());
  if (needed.empty()) return;
  throw Error(ErrorCode::kInvalidEnvironment, "required env variables [" + joined(needed, ",") + "] missing",
              "a container runtime sets them for CNI_COMMAND=" + to_string(command));
}

void read_environment(Invocation& invocation, const Environment& environment, NetnsNeed netns_need) {
  require_variables(environment, invocation.command, netns_need);
  invocation.container_id = variable(environment, "CNI_CONTAINERID");
  invocation.netns = variable(environment, "CNI_NETNS");
  invocation.ifname = variable(environment, "CNI_IFNAME");
  for (auto& directory : split(variable(environment, "CNI_PATH"), ':')) {
    if (!directory.empty()) invocation.path.push_back(std::move(directory));
  }
  const std::string allowed = lower(variable(environment, "CNI_NETNS_OVERRIDE"));
  invocation.netns_override = allowed == "1" || allowed == "true";
  if (!is_about_attachment(invocation.command)) return;
  if (!is_valid_identifier(invocation.container_id)) {
    throw Error(ErrorCode::kInvalidEnvironment,
                "invalid characters in containerID: it must be letters, digits, '_', '.', '-' after a letter "
                "or digit",
                shortened(invocation.container_id));
  }
  const std::string_view problem = interface_name_problem(invocation.ifname);
  if (!problem.empty()) {
    throw Error(ErrorCode::kInvalidEnvironment, std::string(problem), shortened(invocation.ifname));
  }
  invocation.args = Args::parse(variable(environment, "CNI_ARGS"));
}

nlohmann::json read_config(const Environment& environment, std::string* as_written = nullptr) {
  auto text = environment.read_stdin(kStdinLimitBytes);
  if (!text)
    throw Error(ErrorCode::kDecode, std::string(kStdinName) + " is larger than 8 MiB: make it smaller");
  auto config = parse_json(*text, kStdinName);
  if (!config.is_object()) {
    throw Error(ErrorCode::kDecode,
                std::string(kStdinName) + " must be a JSON object, not " + config.type_name());
  }
  if (as_written != nullptr) *as_written = std::move(*text);
  return config;
}

void read_name(Invocation& invocation, const ConfigReader& config) {
  invocation.network = config.text("name").value_or("");
  if (invocation.network.empty()) {
    throw Error(ErrorCode::kInvalidConfig, "missing network name: add \"name\" to the network configuration");
  }
  if (!is_valid_identifier(invocation.network)) {
    throw Error(
        ErrorCode::kInvalidConfig,
        "invalid characters found in network name: it must be letters, digits, '_', '.', '-' after a letter "
        "or digit",
        shortened(invocation.network));
  }
}

void read_types(Invocation& invocation, const ConfigReader& config) {
  invocation.type = config.text("type").value_or("");
  if (!invocation.type.empty()) validate_plugin_name(invocation.type, "type");
  const auto ipam = config.object("ipam");
  const std::string ipam_type = ipam ? ipam->text("type").value_or("") : "";
  if (!ipam_type.empty()) validate_plugin_name(ipam_type, "ipam.type");
}

std::string version_of(const ConfigReader& config) {
  const std::string version = config.text("cniVersion").value_or("");
  return version.empty() ? std::string(kVersionWhenMissing) : version;
}

void require_version(const std::string& version) {
  if (is_supported(version)) return;
  const std::string supported = joined(supported_versions(), ", ");
  throw Error(ErrorCode::kIncompatibleVersion,
              "incompatible CNI versions: set cniVersion to one of " + supported,
              "config is \"" + shortened(version) + "\", plugin supports [" + supported + "]");
}

void read_prev_result(Invocation& invocation, const ConfigReader& config) {
  const auto* previous = config.raw("prevResult");
  if (previous == nullptr || (previous->is_object() && previous->empty())) return;
  try {
    invocation.prev_result = Result::from_json(*previous, invocation.cni_version);
  } catch (const Error& error) {
    // What DEL removes is known without it.
    if (invocation.command != Command::kDel) throw error.in("prevResult");
  }
}

void read_valid_attachments(Invocation& invocation, const ConfigReader& config) {
  const std::string_view key =
      config.has("cni.dev/valid-attachments") ? "cni.dev/valid-attachments" : "cni.dev/attachments";
  if (!config.has(key)) return;
  auto& valid = invocation.valid_attachments.emplace();
  config.each_object(key, [&](const ConfigReader& one) {
    ValidAttachment attachment{one.text("containerID").value_or(""), one.text("ifname").value_or("")};
    // Half a name would let something alive be removed.
    if (attachment.container_id.empty()) one.complain("containerID", "is missing");
    if (attachment.ifname.empty()) one.complain("ifname", "is missing");
    valid.push_back(std::move(attachment));
  });
}

std::string version_to_echo(const Environment& environment) {
  try {
    const auto config = read_config(environment);
    std::string version = ConfigReader(config, "").text("cniVersion").value_or("");
    if (is_supported(version)) return version;
  } catch (const Error&) {
    // VERSION is how a runtime asks what it may send: nothing that it sends can be wrong.
  }
  return std::string(kNewestVersion);
}

}  // namespace

std::string to_string(Command command) {
  for (const auto& known : kCommands) {
    if (known.command == command) return std::string(known.name);
  }
  return "";
}

Args Args::parse(const std::string& text) {
  Args args;
  if (text.empty()) return args;
  for (const auto& pair : split(text, ';')) {
    const std::size_t equals = pair.find('=');
    if (equals == std::string::npos || equals == 0 || pair.find('=', equals + 1) != std::string::npos) {
      throw Error(ErrorCode::kInvalidEnvironment,
                  "CNI_ARGS: invalid pair \"" + shortened(pair) + "\": write KEY=VALUE;KEY=VALUE");
    }
    args.values[pair.substr(0, equals)] = pair.substr(equals + 1);
  }
  if (const auto ignore = args.find("IgnoreUnknown")) {
    const std::string value = lower(*ignore);
    args.ignore_unknown = value == "1" || value == "true";
    if (!args.ignore_unknown && value != "0" && value != "false") {
      throw Error(ErrorCode::kInvalidEnvironment,
                  "CNI_ARGS: IgnoreUnknown=" + shortened(*ignore) + " must be 1, true, 0 or false");
    }
  }
  return args;
}

std::optional<std::string> Args::find(const std::string& key) const {
  const auto found = values.find(key);
  return found == values.end() ? std::nullopt : std::optional(found->second);
}

void Args::reject_unknown(const std::vector<std::string>& known) const {
  if (ignore_unknown) return;
  std::vector<std::string> unknown;
  for (const auto& [key, value] : values) {
    const bool is_known = key == "IgnoreUnknown" || std::find(known.begin(), known.end(), key) != known.end();
    if (!is_known) unknown.push_back("\"" + shortened(key + "=" + value) + "\"");
  }
  if (unknown.empty()) return;
  throw Error(ErrorCode::kInvalidEnvironment,
              "CNI_ARGS: unknown args [" + joined(unknown, " ") + "]: leave them out or add IgnoreUnknown=1");
}

std::optional<Command> command_of(const Environment& environment) {
  const std::string name = variable(environment, "CNI_COMMAND");
  if (name.empty()) return std::nullopt;
  for (const auto& known : kCommands) {
    if (known.name == name) return known.command;
  }
  throw Error(ErrorCode::kInvalidEnvironment, "unknown CNI_COMMAND: " + shortened(name),
              "known are ADD, DEL, CHECK, GC, STATUS, VERSION");
}

void read_into(Invocation& invocation, Command command, const Environment& environment,
               NetnsNeed netns_need) {
  invocation.command = command;
  if (command == Command::kVersion) {
    invocation.cni_version = version_to_echo(environment);
    return;
  }
  read_environment(invocation, environment, netns_need);
  invocation.config = read_config(environment, &invocation.config_text);
  const ConfigReader config(invocation.config, "");
  read_name(invocation, config);
  invocation.cni_version = version_of(config);
  require_version(invocation.cni_version);
  read_types(invocation, config);
  if (is_about_attachment(command)) read_prev_result(invocation, config);
  if (command == Command::kGc) read_valid_attachments(invocation, config);
}

Invocation read_invocation(const Environment& environment) {
  const auto command = command_of(environment);
  if (!command) throw Error(ErrorCode::kInvalidEnvironment, "required env variables [CNI_COMMAND] missing");
  Invocation invocation;
  read_into(invocation, *command, environment);
  return invocation;
}

}  // namespace netctl::cni
