#include "plugins/frontdoor/chain.hpp"

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <filesystem>

#include "base/error.hpp"
#include "plugins/bridge/bridge.hpp"
#include "plugins/cni/config_reader.hpp"
#include "plugins/cni/delegate.hpp"
#include "plugins/cni/json_text.hpp"
#include "plugins/container-share/container_share.hpp"
#include "plugins/host/host.hpp"
#include "plugins/none/none.hpp"
#include "plugins/portmap/portmap.hpp"

namespace netctl::frontdoor {
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

bool has_capability(const nlohmann::json& plugin, const std::string& name) {
  const auto declared =
      cni::ConfigReader(plugin, plugin.at("type").get<std::string>()).object("capabilities");
  return declared && declared->boolean(name).value_or(false);
}

/// Each plugin sees those capabilities that it declares, as runtimeConfig (SPEC.md section 3).
nlohmann::json plugin_config(const NetworkConf& network, const nlohmann::json& plugin,
                             const Endpoint& endpoint, const nlohmann::json& previous) {
  nlohmann::json config = plugin;
  config["name"] = network.name;
  config["cniVersion"] = network.cni_version;
  config.erase("capabilities");
  nlohmann::json runtime = nlohmann::json::object();
  for (const auto& [name, value] : endpoint.runtime_config.items()) {
    if (has_capability(plugin, name)) runtime[name] = value;
  }
  if (!runtime.empty()) config["runtimeConfig"] = runtime;
  if (!previous.is_null()) config["prevResult"] = previous;
  return config;
}

nlohmann::json call_builtin(const cni::Plugin& plugin, const cni::Invocation& invocation) {
  switch (invocation.command) {
    case cni::Command::kAdd:
      return plugin.add(invocation).to_json(invocation.cni_version);
    case cni::Command::kDel:
      plugin.del(invocation);
      return nullptr;
    case cni::Command::kCheck:
      plugin.check(invocation);
      return nullptr;
    default:
      throw Error(ErrorCode::kInternal, "a front end has no use for " + cni::to_string(invocation.command));
  }
}

nlohmann::json run(const NetworkConf& network, const nlohmann::json& plugin, const Endpoint& endpoint,
                   cni::Command command, const nlohmann::json& previous) {
  const nlohmann::json config = plugin_config(network, plugin, endpoint, previous);
  const std::string type = plugin.at("type").get<std::string>();
  const cni::Plugin* builtin = endpoint.in_process ? find_builtin(type) : nullptr;
  if (builtin != nullptr) return call_builtin(*builtin, make_invocation(endpoint, command, config));
  const cni::DelegateCall call = call_for(endpoint, command);
  return cni::run_plugin(cni::find_plugin(type, call.path), call, config);
}

void require_capabilities(const NetworkConf& network, const Endpoint& endpoint) {
  for (const auto& [name, value] : endpoint.runtime_config.items()) {
    const bool declared =
        std::any_of(network.plugins.begin(), network.plugins.end(),
                    [&key = name](const nlohmann::json& plugin) { return has_capability(plugin, key); });
    if (declared) continue;
    throw Error(ErrorCode::kInvalidConfig,
                "no plugin of network " + network.name + " declares the capability " + name +
                    "; add \"capabilities\": {\"" + name + "\": true} in " + network.file);
  }
}

}  // namespace

const cni::Plugin* find_builtin(const std::string& type) {
  static const std::vector<cni::Plugin> kBuiltins{bridge::plugin(), portmap::plugin(),
                                                  none::plugin(),   none::loopback_plugin(),
                                                  host::plugin(),   container_share::plugin()};
  for (const cni::Plugin& plugin : kBuiltins) {
    if (plugin.name == type) return &plugin;
  }
  return nullptr;
}

cni::Invocation make_invocation(const Endpoint& endpoint, cni::Command command,
                                const nlohmann::json& config) {
  std::string path;
  for (const std::string& directory : plugin_path()) path += (path.empty() ? "" : ":") + directory;
  const cni::Environment environment{{{"CNI_COMMAND", cni::to_string(command)},
                                      {"CNI_CONTAINERID", endpoint.container_id},
                                      {"CNI_NETNS", endpoint.netns},
                                      {"CNI_IFNAME", endpoint.ifname},
                                      {"CNI_ARGS", endpoint.args},
                                      {"CNI_PATH", path}},
                                     [&config](std::size_t) { return cni::to_text(config); },
                                     {},
                                     {}};
  cni::Invocation invocation = cni::read_invocation(environment);
  invocation.runtime = endpoint.runtime;
  return invocation;
}

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

}  // namespace netctl::frontdoor
