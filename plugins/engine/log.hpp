#pragma once
// Lines for operators: warnings on stderr, everything in the file that $NETCTL_LOG names (off by default). Never stdout.

#include <string>

namespace netctl::engine {

/// A completed step. Costs nothing when there is no log file.
void log_info(const std::string& line);
/// Something that the operator should know although the operation goes on.
void log_warning(const std::string& line);

}  // namespace netctl::engine
