#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace netctl::cli {

/// Columns as wide as their widest cell, two spaces between them, "-" for an empty cell; no blanks at line ends.
[[nodiscard]] std::string render(const std::vector<std::string>& heads,
                                 const std::vector<std::vector<std::string>>& rows);

/// "12s", "5m", "3h", "4d": the largest unit that is not zero.
[[nodiscard]] std::string age_text(std::int64_t seconds);

[[nodiscard]] std::string join(const std::vector<std::string>& words, const std::string& between = ", ");

}  // namespace netctl::cli
