#pragma once
// What the specification lets a container, a network, an interface and a plugin be called.

#include <string_view>

namespace netctl::cni {

/// Container ids and network names: a letter or digit, then letters, digits, '_', '.', '-' (SPEC.md sections 1 and 2).
[[nodiscard]] bool is_valid_identifier(std::string_view text);

/// What is wrong with an interface name; "" when nothing is. As the kernel's dev_valid_name, and without '%' (the kernel
/// takes it for a template), control characters, and the names that /proc/sys/net/*/conf has for itself.
[[nodiscard]] std::string_view interface_name_problem(std::string_view name);

/// A plain file name: what may be looked for in a directory of CNI_PATH.
[[nodiscard]] bool is_plain_file_name(std::string_view name);

}  // namespace netctl::cni
