#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ipam/records.hpp"

namespace netctl::engine {

/// A process of this host that has a port open.
struct Listener {
  int pid = 0;  ///< 0: not found (a process of another pid namespace)
  std::string name;
  std::vector<std::string> arguments;  ///< its command line
};

/// Whether a socket in the calling thread's network namespace has one of the record's host ports: asked of the kernel by
/// binding for a moment. Who it is is looked for only then. UDP and TCP; SCTP is not probed where the kernel has none.
[[nodiscard]] std::optional<Listener> find_listener(const ipam::PortRecord& port);

}  // namespace netctl::engine
