#pragma once
// The outermost frame of a front end's process: whatever happens becomes one Error.

#include <functional>
#include <string>

#include <nlohmann/json.hpp>

#include "base/error.hpp"

namespace netctl::frontdoor {

/// Largest document that a front end reads, in bytes.
inline constexpr std::size_t kDocumentLimitBytes = 8U << 20U;

/// stdin as one JSON object. `what` names it for the user ("the container's state on stdin"). Errors: kDecode, kIo.
[[nodiscard]] nlohmann::json read_document(const std::string& what);

/// Text that must be one JSON object of at most kDocumentLimitBytes. Errors: kDecode.
[[nodiscard]] nlohmann::json parse_document(const std::string& text, const std::string& what);

/// Runs `work`; a failure is handed to `report` as an Error, whatever was thrown. True when there was none.
[[nodiscard]] bool run_guarded(const std::function<void()>& work,
                               const std::function<void(const Error&)>& report) noexcept;

/// "message (details)", on one line.
[[nodiscard]] std::string one_line(const Error& error);

}  // namespace netctl::frontdoor
