#include "plugins/engine/log.hpp"

#include <cstdlib>
#include <memory>
#include <vector>

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace netctl::engine {
namespace {

const char* log_path() {
  static const char* const path = std::getenv("NETCTL_LOG");
  return path != nullptr && *path != '\0' ? path : nullptr;
}

spdlog::logger& logger() {
  static const std::unique_ptr<spdlog::logger> instance = [] {
    auto on_stderr = std::make_shared<spdlog::sinks::stderr_sink_st>();
    on_stderr->set_level(spdlog::level::warn);
    std::vector<spdlog::sink_ptr> sinks{on_stderr};
    if (log_path() != nullptr) {
      try {
        sinks.push_back(std::make_shared<spdlog::sinks::basic_file_sink_st>(log_path()));
      } catch (const spdlog::spdlog_ex&) {
        // A log that cannot be written is no reason to leave a container without a network.
      }
    }
    auto made = std::make_unique<spdlog::logger>("netctl", sinks.begin(), sinks.end());
    made->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %P %l %v");
    made->flush_on(spdlog::level::info);
    return made;
  }();
  return *instance;
}

}  // namespace

void log_info(const std::string& line) {
  if (log_path() != nullptr) logger().info("{}", line);
}

void log_warning(const std::string& line) { logger().warn("{}", line); }

}  // namespace netctl::engine
