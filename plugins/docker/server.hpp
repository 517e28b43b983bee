#pragma once

#include "base/unique_fd.hpp"

namespace netctl::docker {

/// Serves Docker's plugin protocol (HTTP POST, JSON both ways) on a listening socket until SIGTERM or SIGINT, which must be
/// blocked in the calling thread. A call that runs is finished first.
void serve(UniqueFd listener);

}  // namespace netctl::docker
