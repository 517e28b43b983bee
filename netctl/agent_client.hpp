#pragma once
// The way to netctl-agent: HTTP over its unix socket. Only the agent speaks with sources, so that nothing here needs what
// that takes (libcurl), nor the sources' passwords.

#include <optional>
#include <string>

#include <nlohmann/json.hpp>

namespace netctl::cli {

/// nullopt: no agent runs on this host. Errors: kIo, kDecode; the agent's own sentence when it refuses (kTryAgainLater).
[[nodiscard]] std::optional<nlohmann::json> ask_agent(const std::string& method, const std::string& path);

}  // namespace netctl::cli
