#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace netctl::cli {

/// Writes all of it to stdout. Errors: kIo.
void print(const std::string& text);
/// With "version" as its first key, indented by 2.
void print_json(nlohmann::json object);

}  // namespace netctl::cli
