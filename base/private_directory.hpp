#pragma once

#include <string>

namespace netctl {

/// Is `directory` there, and of nobody else's making? `what` names it in sentences ("the state directory").
/// Errors: kIo when it is a symbolic link, belongs to another user, or is writable for others.
[[nodiscard]] bool is_private_directory(const std::string& directory, const std::string& what);

/// Makes it (mode 0700) and its parents (0755) when missing. Idempotent, also beside others that do the same.
/// Errors: kIo, as above.
void make_private_directory(const std::string& directory, const std::string& what);

}  // namespace netctl
