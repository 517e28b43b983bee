#pragma once

#include <functional>
#include <string>

#include <nlohmann/json.hpp>

namespace netctl::docker {

/// One call of Docker's plugin protocol.
struct Call {
  std::string path;  ///< "/NetworkDriver.Join"
  std::function<nlohmann::json(const nlohmann::json& document)> perform;
};

/// nullptr: not offered, which Docker takes for an older plugin.
[[nodiscard]] const Call* find_call(const std::string& path);

}  // namespace netctl::docker
