#include "netctl/table.hpp"

#include <algorithm>

namespace netctl::cli {

std::string render(const std::vector<std::string>& heads, const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const std::string& head : heads) widths.push_back(head.size());
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size() && i < widths.size(); ++i)
      widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  const auto append_line = [&](const std::vector<std::string>& cells) {
    std::string line;
    for (std::size_t i = 0; i < widths.size(); ++i) {
      std::string cell = i < cells.size() && !cells[i].empty() ? cells[i] : "-";
      if (i + 1 < widths.size()) cell.resize(widths[i] + 2, ' ');
      line += cell;
    }
    text += line + "\n";
  };
  append_line(heads);
  for (const auto& row : rows) append_line(row);
  return text;
}

std::string age_text(std::int64_t seconds) {
  constexpr std::int64_t kMinute = 60;
  constexpr std::int64_t kHour = 60 * kMinute;
  constexpr std::int64_t kDay = 24 * kHour;
  seconds = std::max<std::int64_t>(seconds, 0);
  if (seconds >= kDay) return std::to_string(seconds / kDay) + "d";
  if (seconds >= kHour) return std::to_string(seconds / kHour) + "h";
  if (seconds >= kMinute) return std::to_string(seconds / kMinute) + "m";
  return std::to_string(seconds) + "s";
}

std::string join(const std::vector<std::string>& words, const std::string& between) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : between) + word;
  return text;
}

}  // namespace netctl::cli
