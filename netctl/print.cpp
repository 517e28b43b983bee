#include "netctl/print.hpp"

#include <cstdio>

#include "base/error.hpp"
#include "netctl/verbs.hpp"

namespace netctl::cli {

void print(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    throw_errno("write the answer to stdout", errno, ErrorCode::kIo);
  }
}

void print_json(nlohmann::json object) {
  nlohmann::ordered_json ordered;
  ordered["version"] = kJsonVersion;
  for (const auto& [key, value] : object.items()) ordered[key] = value;
  print(ordered.dump(2) + "\n");
}

}  // namespace netctl::cli
