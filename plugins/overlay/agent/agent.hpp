#pragma once
// One process a node, one thread, one loop. It is on nobody's path: containers that run, ADD and DEL need only the lease
// file and the kernel's entries, which stay as they are when it ends, however it does.

#include <csignal>
#include <list>
#include <string>

#include "base/file_lock.hpp"
#include "plugins/overlay/agent/server.hpp"
#include "plugins/overlay/agent/tender.hpp"

namespace netctl::overlay {

struct AgentOptions {
  std::string state_directory;
  std::string conf_directory;
  std::uint16_t metrics_port = 0;  ///< of 127.0.0.1; 0: metrics are on the unix socket only
};

class Agent {
 public:
  /// Errors: kTryAgainLater when another agent runs with this state directory; kIo, kKernel.
  explicit Agent(AgentOptions options);

  /// Until SIGTERM or SIGINT. SIGHUP: the configurations are read anew.
  void run();

 private:
  void load();
  void answer(const ServerRequest& request, bool local_port, const Server::Reply& reply);
  void act(const ServerRequest& request, const Server::Reply& reply);
  [[nodiscard]] std::string metrics() const;
  [[nodiscard]] std::string status() const;
  [[nodiscard]] int milliseconds_to_wait() const;
  bool on_signal();
  void feed_watchdog();

  AgentOptions options_;
  LockFile lock_file_;
  HeldLock lock_;
  netlink::Socket socket_;
  netlink::LinkEvents events_;
  UniqueFd signals_;
  std::list<Tender> tenders_;
  std::vector<std::string> complaints_;
  Server server_;
  std::optional<Clock::time_point> watchdog_at_;
  std::string said_;
};

}  // namespace netctl::overlay
