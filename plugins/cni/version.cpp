#include "plugins/cni/version.hpp"

#include <algorithm>

namespace netctl::cni {

const std::vector<std::string>& supported_versions() {
  static const std::vector<std::string> versions{"0.1.0", "0.2.0", "0.3.0", "0.3.1",
                                                 "0.4.0", "1.0.0", "1.1.0"};
  return versions;
}

bool is_supported(std::string_view version) {
  const auto& all = supported_versions();
  return std::find(all.begin(), all.end(), version) != all.end();
}

bool at_least(std::string_view version, std::string_view minimum) {
  const auto& all = supported_versions();
  return std::find(all.begin(), all.end(), version) >= std::find(all.begin(), all.end(), minimum);
}

}  // namespace netctl::cni
