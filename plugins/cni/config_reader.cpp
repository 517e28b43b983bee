#include "plugins/cni/config_reader.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "plugins/cni/json_text.hpp"

namespace netctl::cni {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool equal_in_any_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

bool equal_keys(std::string_view a, std::string_view b, KeyCase key_case) {
  return key_case == KeyCase::kExact ? a == b : equal_in_any_case(a, b);
}

std::string index_of(std::size_t position) { return "[" + std::to_string(position) + "]"; }

}  // namespace

ConfigReader::ConfigReader(const nlohmann::json& object, std::string path, KeyCase key_case)
    : object_(&object), path_(std::move(path)), key_case_(key_case) {
  if (!object.is_object() && !object.is_null()) {
    const std::string place = path_.empty() ? "" : path_ + ": ";
    throw Error(ErrorCode::kInvalidConfig, place + "must be an object, not " + object.type_name(),
                shortened(to_text(object)));
  }
}

bool ConfigReader::has(std::string_view key) const { return raw(key) != nullptr; }

const nlohmann::json* ConfigReader::raw(std::string_view key) const {
  if (!object_->is_object()) return nullptr;
  const auto exact = object_->find(key);
  if (exact != object_->end() && !exact->is_null()) return &*exact;
  if (key_case_ == KeyCase::kExact) return nullptr;
  for (const auto& [name, value] : object_->items()) {
    if (!value.is_null() && equal_in_any_case(name, key)) return &value;
  }
  return nullptr;
}

std::optional<std::string> ConfigReader::text(std::string_view key) const {
  const auto* value = raw(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) complain(key, std::string("must be a string, not ") + value->type_name());
  const auto& text = value->get_ref<const std::string&>();
  // It would end the string early in every system call.
  if (text.find('\0') != std::string::npos) complain(key, "must not contain a NUL character");
  return text;
}

std::optional<bool> ConfigReader::boolean(std::string_view key) const {
  const auto* value = raw(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) complain(key, std::string("must be true or false, not ") + value->type_name());
  return value->get<bool>();
}

std::optional<std::int64_t> ConfigReader::integer(std::string_view key, std::int64_t lowest,
                                                  std::int64_t highest) const {
  const auto* value = raw(key);
  if (value == nullptr) return std::nullopt;
  const bool fits = value->is_number_unsigned()
                        ? value->get<std::uint64_t>() <= static_cast<std::uint64_t>(INT64_MAX)
                        : value->is_number_integer();
  if (!fits || value->get<std::int64_t>() < lowest || value->get<std::int64_t>() > highest) {
    complain(key, "must be a whole number from " + std::to_string(lowest) + " to " + std::to_string(highest));
  }
  return value->get<std::int64_t>();
}

std::optional<IpAddress> ConfigReader::address(std::string_view key) const {
  const auto value = text(key);
  if (!value || value->empty()) return std::nullopt;
  const auto address = IpAddress::parse(*value);
  if (!address) complain(key, "must be an IP address such as 10.1.0.1 or fd00::1");
  return address;
}

std::optional<IpPrefix> ConfigReader::prefix(std::string_view key) const {
  const auto value = text(key);
  if (!value) return std::nullopt;
  const auto prefix = IpPrefix::parse(*value);
  if (!prefix) complain(key, "must be in CIDR notation such as 10.1.0.0/16 or fd00::/64");
  return prefix;
}

std::optional<MacAddress> ConfigReader::mac(std::string_view key) const {
  const auto value = text(key);
  if (!value || value->empty()) return std::nullopt;
  const auto mac = MacAddress::parse(*value);
  if (!mac) complain(key, "must be a MAC address such as 02:00:00:00:00:01");
  return mac;
}

std::vector<std::string> ConfigReader::texts(std::string_view key) const {
  const auto* value = raw(key);
  if (value == nullptr) return {};
  if (!value->is_array()) complain(key, std::string("must be a list of strings, not ") + value->type_name());
  std::vector<std::string> texts;
  texts.reserve(value->size());
  for (const auto& element : *value) {
    const std::string place = std::string(key) + index_of(texts.size());
    if (!element.is_string()) complain(key, place + " must be a string, not " + element.type_name());
    texts.push_back(element.get<std::string>());
    if (texts.back().find('\0') != std::string::npos)
      complain(key, place + " must not contain a NUL character");
  }
  return texts;
}

std::optional<ConfigReader> ConfigReader::object(std::string_view key) const {
  const auto* value = raw(key);
  if (value == nullptr) return std::nullopt;
  return ConfigReader(*value, path_of(key), key_case_);
}

void ConfigReader::each_object(std::string_view key,
                               const std::function<void(const ConfigReader&)>& visit) const {
  const auto* value = raw(key);
  if (value == nullptr) return;
  if (!value->is_array()) complain(key, std::string("must be a list of objects, not ") + value->type_name());
  for (std::size_t i = 0; i < value->size(); ++i) {
    const auto& element = (*value)[i];
    const std::string path = path_of(key) + index_of(i);
    if (!element.is_object()) {
      throw Error(ErrorCode::kInvalidConfig, path + ": must be an object, not " + element.type_name(),
                  shortened(to_text(element)));
    }
    visit(ConfigReader(element, path, key_case_));
  }
}

std::vector<std::string> ConfigReader::unknown_keys(const std::vector<std::string_view>& known) const {
  std::vector<std::string> unknown;
  for (const auto& [name, value] : object_->items()) {
    const std::string& key = name;
    const bool is_known = std::any_of(known.begin(), known.end(),
                                      [&](std::string_view one) { return equal_keys(one, key, key_case_); });
    if (!is_known) unknown.push_back(key);
  }
  return unknown;
}

std::string ConfigReader::path_of(std::string_view key) const {
  return path_.empty() ? std::string(key) : path_ + "." + std::string(key);
}

void ConfigReader::complain(std::string_view key, const std::string& problem) const {
  const auto* value = raw(key);
  throw Error(ErrorCode::kInvalidConfig, path_of(key) + ": " + problem,
              value == nullptr ? std::string() : shortened(to_text(*value)));
}

}  // namespace netctl::cni
