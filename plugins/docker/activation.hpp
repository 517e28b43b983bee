#pragma once

#include <string>

#include "base/unique_fd.hpp"

namespace netctl::docker {

inline constexpr const char* kDefaultSocket = "/run/docker/plugins/netctl.sock";

/// The listening socket: the one that systemd hands over (sd_listen_fds(3): LISTEN_PID, LISTEN_FDS, descriptor 3), else a
/// new one at `path`, mode 0600 from its first moment. What another process listens on is not taken away.
/// Errors: kIo.
[[nodiscard]] UniqueFd listening_socket(const std::string& path);

}  // namespace netctl::docker
