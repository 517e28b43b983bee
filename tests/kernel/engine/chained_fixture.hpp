#pragma once
// A container that another plugin attached, or ours, and chained executables behind it.

#include <sys/wait.h>
#include <unistd.h>

#include "plugins/engine/part.hpp"
#include "tests/kernel/engine/engine_fixture.hpp"

namespace netctl::engine {

class ChainedTest : public EngineTest {
 protected:
  Box& box() { return box_; }
  AttachmentRequest main_part() { return wanted("c1", box_); }

  /// What a plugin that is not ours would have made: a veth pair, `host_link` outside and eth0 inside, with 10.77.0.2.
  void attach_by_hand(const Box& container, const std::string& host_link = "foreign0") {
    testing::output_of({"ip", "link", "add", host_link, "type", "veth", "peer", "name", "tmp0"});
    testing::output_of({"ip", "link", "set", "tmp0", "netns", container.path()});
    container.run({"ip", "link", "set", "tmp0", "name", "eth0"});
    container.run({"ip", "addr", "add", "10.77.0.2/24", "dev", "eth0"});
    container.run({"ip", "link", "set", "eth0", "up"});
    testing::output_of({"ip", "addr", "add", "10.77.0.1/24", "dev", host_link});
    testing::output_of({"ip", "link", "set", host_link, "up"});
  }

  std::string inside(const std::string& sysctl_path) {
    std::string value;
    box_.netns().run([&] { value = sysctl(sysctl_path); });
    return value;
  }
  /// eth0 of the container as `ip -j` prints it.
  nlohmann::json eth0() { return box_.ip({"-d", "link", "show", "eth0"}).at(0); }

  /// Runs `body` in a process of its own, with a Host of its own, that ends without unwinding anything.
  static void die_after(const std::function<void(Host&)>& body) {
    const pid_t child = ::fork();
    if (child == 0) {
      try {
        Host host = Host::open();
        body(host);
      } catch (...) {
        ::_exit(2);
      }
      ::_exit(1);  // `body` has to end the process itself, with status 0
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
    ASSERT_EQ(WEXITSTATUS(status), 0);
  }

 private:
  Box box_;
};

}  // namespace netctl::engine
