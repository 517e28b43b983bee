#pragma once
// The agent's ear: HTTP/1.0 on a unix socket (all requests) and, if asked for, on a port of the loopback (metrics only).

#include <poll.h>

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"
#include "plugins/overlay/source/peer_source.hpp"

namespace netctl::overlay {

struct ServerRequest {
  std::string method, path;
};
struct ServerReply {
  int status = 200;
  std::string body, type = "application/json";
};

class Server {
 public:
  using Reply = std::function<void(const ServerReply&)>;
  /// May answer later; `local_port`: it came by the port, not the unix socket.
  using Handler = std::function<void(const ServerRequest&, bool local_port, Reply)>;

  /// A socket that a dead agent left is replaced; `port` 0: none. Errors: kIo.
  Server(const std::string& socket_path, std::uint16_t port, Handler handler);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server();

  void add_to(std::vector<pollfd>& polled) const;
  void drive();

 private:
  struct Client {
    UniqueFd fd;
    bool local_port = false, asked = false, done = false;
    std::string input, output;
    Clock::time_point until;
  };
  void accept_from(const UniqueFd& listener, bool local_port);
  void read_from(const std::shared_ptr<Client>& client);
  void write_to(Client& client);

  std::string path_;
  UniqueFd unix_, port_;
  Handler handler_;
  std::list<std::shared_ptr<Client>> clients_;
};

}  // namespace netctl::overlay
