#pragma once
// A state directory that goes with the test, and values that many tests need.

#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "ipam/pool.hpp"
#include "ipam/port_claims.hpp"
#include "ipam/reservations.hpp"
#include "ipam/store.hpp"

namespace netctl::ipam::testing {

inline constexpr const char* kBoot = "11111111-2222-3333-4444-555555555555";
inline constexpr std::uint64_t kCookie = 7;

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "netctl-ipam-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw_errno("make a temporary directory");
    path_ = name;
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] std::string state() const { return path_ + "/state"; }

  [[nodiscard]] std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(state()))
      names.push_back(entry.path().filename());
    return names;
  }

 private:
  std::string path_;
};

/// A test with a live store of its own.
class StoreTest : public ::testing::Test {
 protected:
  [[nodiscard]] Store open() const { return Store::open_live(directory_.state(), kCookie, kBoot); }

  TemporaryDirectory directory_;
  Store store_ = open();
};

inline AttachmentKey container(const std::string& id, const std::string& ifname = "eth0") {
  return {"net", id, ifname};
}

inline IpAddress ip(const std::string& text) { return IpAddress::parse(text).value(); }
inline IpPrefix prefix(const std::string& text) { return IpPrefix::parse(text).value(); }

inline Range range(const std::string& subnet) { return resolve_range({prefix(subnet), {}, {}, {}}); }
inline Range range(const std::string& subnet, const std::string& first, const std::string& last) {
  return resolve_range({prefix(subnet), ip(first), ip(last), {}});
}

inline PoolConfig pool_of(std::vector<RangeSet> sets) {
  PoolConfig pool;
  pool.id = pool_id("/data", "net");
  pool.network = "net";
  pool.sets = std::move(sets);
  return pool;
}

/// An attachment with something in every field.
inline AttachmentRecord full_attachment(const std::string& id) {
  AttachmentRecord record;
  record.key = container(id);
  record.parts = {{"bridge", State::kReady}, {"host-local", State::kAdding}, {"portmap", State::kDeleting}};
  record.netns_path = "/run/netns/" + id;
  record.netns_cookie = 0xfedcba9876543210;
  record.mount_namespace = "mnt:[4026531841]";
  record.bridge = "br0";
  record.host_ifname = "nc0123456789abc";
  record.host_mac = "02:00:00:00:00:01";
  record.container_mac = "02:00:00:00:00:02";
  record.leases = {{prefix("10.1.0.2/16"), ip("10.1.0.1"), pool_id("/data", "net")},
                   {prefix("fd00::2/64"), {}, ""}};
  PortRecord everywhere;
  everywhere.protocol = 6;
  everywhere.host_port = 8080;
  everywhere.container_port = 80;
  everywhere.targets = {ip("10.1.0.2"), ip("fd00::2")};
  everywhere.claimed_by = {"bridge", "portmap"};
  PortRecord several = everywhere;
  several.host_ip = ip("192.0.2.1");
  several.host_port = 65000;
  several.count = 500;
  several.masquerade_local = false;
  record.ports = {everywhere, several};
  record.container_name = "web";
  record.labels = {{"app", "shop"}, {"", "empty key"}};
  record.runtime = "containerd";
  record.created_wall_seconds = 1'700'000'000;
  record.created_boot_nanoseconds = -5;
  record.result = {{"cniVersion", "1.1.0"}, {"ips", {{{"address", "10.1.0.2/16"}}}}};
  return record;
}

inline NetworkRecord full_network() {
  NetworkRecord record;
  record.name = "net";
  record.driver = "bridge";
  record.bridge = "br0";
  record.bridge_created = true;
  record.policy = {{"masquerade", true}, {"isolate", {"a", "b"}}};
  record.subnets = {"10.1.0.0/16", "fd00::/64"};
  record.pools = {pool_id("/data", "net")};
  record.sysctls_before = {{"ipv4/ip_forward", "0"}};
  return record;
}

/// The code of the Error that `action` throws. The message goes to `message`.
template <class Action>
ErrorCode error_of(Action action, std::string* message = nullptr) {
  try {
    action();
  } catch (const Error& error) {
    if (message != nullptr) *message = error.message();
    return error.code();
  }
  ADD_FAILURE() << "nothing was thrown";
  return ErrorCode{};
}

/// Starts a process that runs `action` and nothing of the test around it.
template <class Action>
pid_t start(Action action) {
  const pid_t child = ::fork();
  if (child != 0) return child;
  try {
    action();
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "child: %s\n", failure.what());
    ::_exit(EXIT_FAILURE);
  }
  ::_exit(EXIT_SUCCESS);
}

inline int wait_for(pid_t child) {
  int status = -1;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return status;
}

/// Runs `action` in a child process. Its wait status: 0 when the action returned, or what it called _exit() with.
template <class Action>
int status_of_child(Action action) {
  return wait_for(start(action));
}

}  // namespace netctl::ipam::testing
