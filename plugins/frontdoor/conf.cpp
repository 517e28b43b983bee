#include "plugins/frontdoor/conf.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/error.hpp"
#include "plugins/cni/version.hpp"

namespace netctl::frontdoor {
namespace {

namespace fs = std::filesystem;

NetworkConf parse(const fs::path& file) {
  std::ifstream stream(file);
  const nlohmann::json json = nlohmann::json::parse(stream);
  NetworkConf conf;
  conf.file = file.string();
  conf.name = json.at("name").get<std::string>();
  conf.cni_version = json.value("cniVersion", std::string(cni::kVersionWhenMissing));
  if (json.contains("plugins")) {
    for (const nlohmann::json& plugin : json.at("plugins")) conf.plugins.push_back(plugin);
  } else {
    conf.plugins.push_back(json);
  }
  for (const nlohmann::json& plugin : conf.plugins) (void)plugin.at("type").get<std::string>();
  if (conf.plugins.empty()) throw Error(ErrorCode::kInvalidConfig, "the list of plugins is empty");
  return conf;
}

bool is_conf(const fs::path& file) {
  const std::string extension = file.extension().string();
  return extension == ".conflist" || extension == ".conf" || extension == ".json";
}

}  // namespace

std::string NetworkConf::driver() const { return plugins.front().at("type").get<std::string>(); }

std::string conf_directory() {
  const char* chosen = std::getenv("NETCTL_CONF_DIR");
  return chosen != nullptr && *chosen != '\0' ? chosen : "/etc/cni/net.d";
}

std::vector<NetworkConf> load_all(const std::string& directory, std::vector<std::string>& complaints) {
  std::vector<fs::path> files;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory, ignored)) {
    if (is_conf(entry.path()) && entry.is_regular_file(ignored)) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  std::vector<NetworkConf> networks;
  for (const fs::path& file : files) {
    try {
      networks.push_back(parse(file));
    } catch (const std::exception& error) {
      complaints.push_back(file.string() + " is no network configuration: " + error.what());
    }
  }
  return networks;
}

NetworkConf find_network_conf(const std::string& name) {
  std::vector<std::string> complaints;
  std::string names;
  for (NetworkConf& conf : load_all(conf_directory(), complaints)) {
    if (conf.name == name) return std::move(conf);
    names += (names.empty() ? "" : ", ") + conf.name;
  }
  throw Error(ErrorCode::kInvalidConfig,
              "there is no network " + name + " in " + conf_directory() +
                  (names.empty() ? "; put a conflist there" : "; there is: " + names));
}

}  // namespace netctl::frontdoor
