#pragma once
// What the kernel tells of changes to links and of what was taken from them, to whoever mends it.

#include <cstdint>
#include <set>

#include "base/unique_fd.hpp"

namespace netctl::netlink {

class LinkEvents {
 public:
  /// Listens in the calling thread's network namespace. Errors: kKernel.
  [[nodiscard]] static LinkEvents open();

  /// To be polled for input.
  [[nodiscard]] int fd() const { return fd_.get(); }

  struct Seen {
    bool missed = false;  ///< the kernel had more to tell than was read in time: anything may have changed
    std::set<std::uint32_t>
        links;  ///< links that changed or went, or lost an address, neighbour, FDB entry, nexthop or route
  };
  /// All that waits to be read; does not block. Errors: kKernel.
  [[nodiscard]] Seen drain();

 private:
  explicit LinkEvents(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace netctl::netlink
