#include "netctl/runtime.hpp"

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <filesystem>

#include "base/error.hpp"
#include "plugins/cni/delegate.hpp"

namespace netctl::cli {
namespace {

cni::DelegateCall call_for(const Endpoint& endpoint, cni::Command command) {
  cni::DelegateCall call;
  call.command = command;
  call.container_id = endpoint.container_id;
  call.netns = endpoint.netns;
  call.ifname = endpoint.ifname;
  call.args = endpoint.args;
  call.path = plugin_path();
  return call;
}

/// Each plugin sees those capabilities that it declares, as runtimeConfig (SPEC.md section 3).
nlohmann::json plugin_config(const NetworkConf& network, const nlohmann::json& plugin,
                             const Endpoint& endpoint, const nlohmann::json& previous) {
  nlohmann::json config = plugin;
  config["name"] = network.name;
  config["cniVersion"] = network.cni_version;
  const nlohmann::json capabilities = plugin.value("capabilities", nlohmann::json::object());
  config.erase("capabilities");
  nlohmann::json runtime = nlohmann::json::object();
  for (const auto& [name, value] : endpoint.runtime_config.items()) {
    if (capabilities.value(name, false)) runtime[name] = value;
  }
  if (!runtime.empty()) config["runtimeConfig"] = runtime;
  if (!previous.is_null()) config["prevResult"] = previous;
  return config;
}

nlohmann::json run(const NetworkConf& network, const nlohmann::json& plugin, const Endpoint& endpoint,
                   cni::Command command, const nlohmann::json& previous) {
  const cni::DelegateCall call = call_for(endpoint, command);
  const std::string executable = cni::find_plugin(plugin.at("type").get<std::string>(), call.path);
  return cni::run_plugin(executable, call, plugin_config(network, plugin, endpoint, previous));
}

void require_capabilities(const NetworkConf& network, const Endpoint& endpoint) {
  for (const auto& [name, value] : endpoint.runtime_config.items()) {
    const bool declared = std::any_of(
        network.plugins.begin(), network.plugins.end(), [&, &key = name](const nlohmann::json& plugin) {
          return plugin.value("capabilities", nlohmann::json::object()).value(key, false);
        });
    if (declared) continue;
    throw Error(ErrorCode::kInvalidConfig,
                "no plugin of network " + network.name + " declares the capability " + name +
                    "; add \"capabilities\": {\"" + name + "\": true} in " + network.file);
  }
}

}  // namespace

std::vector<std::string> plugin_path() {
  const char* chosen = std::getenv("CNI_PATH");
  std::vector<std::string> path;
  if (chosen == nullptr || *chosen == '\0') {
    return {std::filesystem::read_symlink("/proc/self/exe").parent_path().string()};
  }
  const std::string all = chosen;
  for (std::size_t start = 0; start <= all.size();) {
    const std::size_t end = std::min(all.find(':', start), all.size());
    if (end > start) path.push_back(all.substr(start, end - start));
    start = end + 1;
  }
  return path;
}

nlohmann::json add_list(const NetworkConf& network, const Endpoint& endpoint) {
  require_capabilities(network, endpoint);
  nlohmann::json result;
  try {
    for (const nlohmann::json& plugin : network.plugins) {
      result = run(network, plugin, endpoint, cni::Command::kAdd, result);
    }
  } catch (const Error& error) {
    // The living attachment of this very container is not the failed one's leftover.
    if (error.code() == ErrorCode::kAlreadyAttached) throw;
    try {
      del_list(network, endpoint, nullptr);
    } catch (const Error&) {
      // The reason that matters is the one why ADD failed.
    }
    throw;
  }
  return result;
}

void del_list(const NetworkConf& network, const Endpoint& endpoint, const nlohmann::json& previous) {
  std::exception_ptr first;
  for (auto plugin = network.plugins.rbegin(); plugin != network.plugins.rend(); ++plugin) {
    try {
      run(network, *plugin, endpoint, cni::Command::kDel, previous);
    } catch (const Error&) {
      if (!first) first = std::current_exception();
    }
  }
  if (first) std::rethrow_exception(first);
}

void check_list(const NetworkConf& network, const Endpoint& endpoint, const nlohmann::json& previous) {
  for (const nlohmann::json& plugin : network.plugins)
    run(network, plugin, endpoint, cni::Command::kCheck, previous);
}

}  // namespace netctl::cli
