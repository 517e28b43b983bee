#include "plugins/hook/hook_options.hpp"

#include <cstdint>
#include <optional>

#include "base/error.hpp"
#include "plugins/cni/config_reader.hpp"
#include "plugins/cni/json_text.hpp"
#include "plugins/frontdoor/program.hpp"

namespace netctl::hook {
namespace {

constexpr std::string_view kAnnotationPrefix = "io.netctl.";
constexpr const char* kStateName = "the container's state on stdin";

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> parts;
  for (std::size_t start = 0; start <= list.size();) {
    const std::size_t end = std::min(list.find(',', start), list.size());
    const std::size_t first = list.find_first_not_of(' ', start);
    std::size_t last = end;
    while (last > start && list[last - 1] == ' ') --last;
    if (first < last) parts.push_back(list.substr(first, last - first));
    start = end + 1;
  }
  return parts;
}

/// False when there is no such option.
bool set_one(Options& options, std::string_view key, const std::string& value) {
  const std::map<std::string_view, std::string*> known{{"network", &options.network},
                                                       {"name", &options.name},
                                                       {"ifname", &options.ifname},
                                                       {"mac", &options.mac}};
  const auto found = known.find(key);
  if (found == known.end()) return false;
  *found->second = value;
  return true;
}

std::vector<std::string>* list_of(Options& options, std::string_view key) {
  if (key == "publish") return &options.publish;
  if (key == "ip") return &options.ips;
  if (key == "alias" || key == "aliases") return &options.aliases;
  return nullptr;
}

void read_argument(Options& options, const std::string& name, const std::string& value) {
  const std::string_view key = std::string_view(name).substr(std::min<std::size_t>(2, name.size()));
  if (name.rfind("--", 0) == 0) {
    if (std::vector<std::string>* list = list_of(options, key)) {
      for (std::string& part : split(value)) list->push_back(std::move(part));
      return;
    }
    if (set_one(options, key, value)) return;
  }
  throw Error(ErrorCode::kInvalidConfig,
              "unknown argument " + cni::shortened(name) +
                  "; known are --network --publish --name --ip --mac --ifname --alias, each with a value");
}

void read_annotation(Options& options, std::string_view key, const std::string& value) {
  if (std::vector<std::string>* list = list_of(options, key)) {
    *list = split(value);
    return;
  }
  if (set_one(options, key, value)) return;
  throw Error(ErrorCode::kInvalidConfig, "unknown annotation io.netctl." + cni::shortened(std::string(key)) +
                                             "; known are network, publish, name, ip, mac, ifname, aliases");
}

}  // namespace

ContainerState read_state() {
  constexpr std::int64_t kLargestPid = 1 << 22;  // PID_MAX_LIMIT (include/linux/threads.h)
  const nlohmann::json document = frontdoor::read_document(kStateName);
  const cni::ConfigReader reader(document, "state");
  ContainerState state;
  state.id = reader.text("id").value_or("");
  if (state.id.empty()) reader.complain("id", "is missing: an OCI runtime writes it");
  state.status = reader.text("status").value_or("");
  if (state.status.empty()) reader.complain("status", "is missing: an OCI runtime writes it");
  state.pid = static_cast<int>(reader.integer("pid", 0, kLargestPid).value_or(0));
  const auto annotations = reader.object("annotations");
  if (!annotations) return state;
  for (const auto& [key, value] : annotations->json().items()) {
    if (key.rfind(kAnnotationPrefix, 0) == 0) state.annotations[key] = annotations->text(key).value_or("");
  }
  return state;
}

Options read_options(const std::vector<std::string>& arguments,
                     const std::map<std::string, std::string>& annotations) {
  Options options;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::size_t equals = arguments[i].find('=');
    if (equals != std::string::npos) {
      read_argument(options, arguments[i].substr(0, equals), arguments[i].substr(equals + 1));
    } else if (i + 1 < arguments.size()) {
      read_argument(options, arguments[i], arguments[i + 1]);
      ++i;
    } else {
      throw Error(ErrorCode::kInvalidConfig,
                  "the argument " + cni::shortened(arguments[i]) + " needs a value");
    }
  }
  for (const auto& [key, value] : annotations) {
    read_annotation(options, std::string_view(key).substr(kAnnotationPrefix.size()), value);
  }
  return options;
}

}  // namespace netctl::hook
