#include "plugins/cni/names.hpp"

#include <algorithm>
#include <array>

namespace netctl::cni {
namespace {

constexpr std::size_t kInterfaceNameLimit = 15;  // IFNAMSIZ without the NUL
constexpr std::size_t kFileNameLimit = 255;      // NAME_MAX

// The classification functions of <cctype> depend on the locale.
bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// White space of Unicode beyond ASCII, in UTF-8.
constexpr std::array<std::string_view, 20> kWideSpaces{
    "\xC2\x85",     "\xC2\xA0",     "\xE1\x9A\x80", "\xE2\x80\x80", "\xE2\x80\x81",
    "\xE2\x80\x82", "\xE2\x80\x83", "\xE2\x80\x84", "\xE2\x80\x85", "\xE2\x80\x86",
    "\xE2\x80\x87", "\xE2\x80\x88", "\xE2\x80\x89", "\xE2\x80\x8A", "\xE2\x80\xA8",
    "\xE2\x80\xA9", "\xE2\x80\xAF", "\xE2\x81\x9F", "\xE3\x80\x80", "\xEF\xBB\xBF"};

}  // namespace

bool is_valid_identifier(std::string_view text) {
  return !text.empty() && is_letter_or_digit(text.front()) &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return is_letter_or_digit(c) || c == '_' || c == '.' || c == '-'; });
}

std::string_view interface_name_problem(std::string_view name) {
  if (name.empty()) return "interface name is empty";
  if (name.size() > kInterfaceNameLimit) return "interface name is too long: at most 15 bytes";
  if (name == "." || name == "..") return "interface name is . or ..";
  if (name == "all" || name == "default")
    return "interface name is one that the kernel's settings have for themselves";
  if (name.find('%') != std::string_view::npos)
    return "interface name contains %, which the kernel takes for a template";
  const bool has_space = std::any_of(kWideSpaces.begin(), kWideSpaces.end(), [&](std::string_view space) {
    return name.find(space) != std::string_view::npos;
  });
  if (has_space || name.find_first_of("/: \t\n\v\f\r") != std::string_view::npos) {
    return "interface name contains / or : or whitespace characters";
  }
  const bool has_control = std::any_of(
      name.begin(), name.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20U || c == '\x7F'; });
  return has_control ? "interface name contains control characters" : "";
}

bool is_plain_file_name(std::string_view name) {
  constexpr std::string_view kForbidden{"/\\\0", 3};
  return !name.empty() && name.size() <= kFileNameLimit && name != "." && name != ".." &&
         name.find_first_of(kForbidden) == std::string_view::npos;
}

}  // namespace netctl::cni
