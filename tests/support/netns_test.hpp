#pragma once
// Tests against the real kernel, each in a network namespace of its own: "the host" of a test is a private namespace, so
// nothing of the machine is seen or touched, and everything is gone when the test ends, however it ends.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "netlink/netns.hpp"
#include "netlink/socket.hpp"

namespace netctl::testing {

struct CommandResult {
  int exit_code = -1;  ///< 128 + signal when it was killed
  std::string output;  ///< stdout and stderr, in the order written
};

/// Runs a program of PATH without a shell, in the calling thread's namespaces, and waits for it.
/// A program that cannot be started has exit code 127.
[[nodiscard]] CommandResult run_command(const std::vector<std::string>& arguments);
/// The output of a program that has to succeed; else the test fails and says what was printed.
std::string output_of(const std::vector<std::string>& arguments);

/// `ip -j ARGUMENTS` and `nft -j ARGUMENTS` in the calling thread's namespace, parsed. Empty output reads as [].
[[nodiscard]] nlohmann::json ip_json(std::vector<std::string> arguments);
[[nodiscard]] nlohmann::json nft_json(std::vector<std::string> arguments);

/// Returns as soon as `condition` holds; the test fails when it does not within half a minute. For what the kernel does
/// a moment later, from its work queues.
void wait_until(const std::function<bool()>& condition, const std::string& what);

/// A new, empty network namespace that lives as long as the value (or a process or veth inside) does.
[[nodiscard]] netlink::Netns make_netns();
[[nodiscard]] netlink::Socket open_socket_in(const netlink::Netns& netns, netlink::Bus bus);

/// The test runs in a private network namespace. Where that cannot be made the test fails: a skipped test looks like a
/// passed one.
class NetnsTest : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  /// A route socket of the private namespace, which plays the host.
  netlink::Socket& route() { return *route_; }
  [[nodiscard]] const netlink::Netns& host() const { return *host_; }
  /// A second private namespace, held by its descriptor only.
  [[nodiscard]] static netlink::Netns make_container() { return make_netns(); }

 private:
  std::optional<netlink::Netns> home_;
  std::optional<netlink::Netns> host_;
  std::optional<netlink::Socket> route_;
};

}  // namespace netctl::testing
