#pragma once
// Network configurations as runtimes read them: *.conflist, *.conf and *.json of one directory, in the order of their names.

#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace netctl::frontdoor {

struct NetworkConf {
  std::string file;
  std::string name;
  std::string cni_version;
  std::vector<nlohmann::json> plugins;  ///< each a single plugin's object, without name and cniVersion

  /// The executable of the first plugin.
  [[nodiscard]] std::string driver() const;
};

/// $NETCTL_CONF_DIR or /etc/cni/net.d.
[[nodiscard]] std::string conf_directory();

/// Every configuration that can be read; what cannot goes to `complaints`. A directory that is missing has none.
[[nodiscard]] std::vector<NetworkConf> load_all(const std::string& directory,
                                                std::vector<std::string>& complaints);

/// Errors: kInvalidConfig naming the networks that there are.
[[nodiscard]] NetworkConf find_network_conf(const std::string& name);

}  // namespace netctl::frontdoor
