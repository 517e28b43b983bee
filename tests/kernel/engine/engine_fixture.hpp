#pragma once
// The engine in a host that is a private namespace, with a store of its own, and containers that are namespaces too.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "iptables/policy_table.hpp"
#include "netlink/link.hpp"
#include "plugins/engine/attach.hpp"
#include "plugins/engine/check.hpp"
#include "plugins/engine/detach.hpp"
#include "plugins/engine/gc.hpp"
#include "tests/support/netns_test.hpp"
#include "tests/unit/cni/support.hpp"
#include "tests/unit/engine/sample.hpp"

namespace netctl::engine {

using cni::test::error_of;

/// A container's namespace behind a path; it dies with the value, or earlier.
class Box {
 public:
  Box();
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] netlink::Netns netns() const { return netlink::Netns::open(path_); }
  /// The output of a command inside, that has to succeed.
  std::string run(const std::vector<std::string>& command) const;
  /// What `ip -j` says inside.
  [[nodiscard]] nlohmann::json ip(const std::vector<std::string>& arguments) const;
  [[nodiscard]] bool has_interface() const;
  /// The path is missing afterwards; the kernel takes the namespace down a little later.
  void die() { fd_.reset(); }

 private:
  UniqueFd fd_;
  std::string path_;
};

class EngineTest : public testing::NetnsTest {
 protected:
  void SetUp() override;
  void TearDown() override;

  Host& engine() { return *engine_; }
  iptables::PolicyTable table();

  /// Container `id` of network `network` on br-NETWORK, 10.77.0.0/24 behind the gateway 10.77.0.1.
  static AttachmentRequest wanted(const std::string& id, const Box& box, const std::string& network = "blue");
  /// The same with fd77::/64 beside.
  static AttachmentRequest wanted_dual_stack(const std::string& id, const Box& box);
  static cni::PortMapping mapping(std::uint16_t host_port, std::uint16_t container_port);

  cni::Result add(const AttachmentRequest& request) { return attach(engine(), request); }
  /// As the executable does it: its part, then the network.
  void del(const AttachmentRequest& request) { detach_part(engine(), request.key, request.driver); }
  Error refusal(const AttachmentRequest& request);

  std::optional<ipam::AttachmentRecord> record_of(const AttachmentRequest& request);
  std::optional<ipam::NetworkRecord> network_record(const std::string& network);
  void change_record(const AttachmentRequest& request,
                     const std::function<void(ipam::AttachmentRecord&)>& change);

  std::optional<netlink::Link> link(const std::string& name) { return netlink::find_link(route(), name); }
  std::optional<netlink::Link> host_end(const AttachmentRequest& request);
  void wait_until_gone(const std::string& link_name);
  /// Lets the container die and waits until the kernel has taken its host end away.
  void kill(Box& box, const AttachmentRequest& request);

  /// What the table publishes: "8080/tcp to 10.77.0.2:80", sorted.
  std::vector<std::string> published();
  /// Links, addresses, routes, rules, and forwarding of the host, as text; without what the kernel makes of itself, and when
  /// it likes (link-local addresses, carrier).
  static std::string snapshot();
  static std::string sysctl(const std::string& path);

 private:
  std::optional<cni::test::TemporaryFolder> state_;
  std::unique_ptr<Host> engine_;
};

/// "10.77.0.2/24" and so on.
std::vector<std::string> addresses_of(const cni::Result& result);

}  // namespace netctl::engine
