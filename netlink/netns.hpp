#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/unique_fd.hpp"
#include "netlink/socket.hpp"

namespace netctl::netlink {

/// A network namespace, held by descriptor: once opened, its path does not matter any more.
class Netns {
 public:
  /// Opens without blocking (a FIFO does not hang), and accepts nothing but a network namespace: nsfs by statfs, its
  /// type by NS_GET_NSTYPE. Errors: kInvalidNetns with a sentence that says what the path is instead.
  [[nodiscard]] static Netns open(const std::string& path);
  [[nodiscard]] static Netns current();

  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  /// Same namespace? (device and inode of two open descriptors: exact while both are open)
  [[nodiscard]] bool is_same_as(const Netns& other) const;
  /// SO_NETNS_COOKIE, found by opening a socket inside.
  [[nodiscard]] std::uint64_t cookie() const;

  /// Runs `body` on this thread inside the namespace and comes home, also when it throws. Needed for three things only:
  /// opening a socket, /proc/sys/net, raw frames. Not being able to come home aborts: nothing sensible can follow.
  void run(const std::function<void()>& body) const;

 private:
  explicit Netns(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace netctl::netlink
