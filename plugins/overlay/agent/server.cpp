#include "plugins/overlay/agent/server.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/error.hpp"

namespace netctl::overlay {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kMostClients = 64;
constexpr std::size_t kLongestRequest = 8192;
constexpr auto kPatience = 10s;
constexpr int kBacklog = 16;

UniqueFd listen_at(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    throw Error(ErrorCode::kIo,
                "the path " + path + " is too long for a socket; choose a shorter state directory");
  }
  std::memcpy(address.sun_path, path.c_str(), path.size());
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  ::unlink(path.c_str());
  const mode_t before = ::umask(0177);
  const bool bound = fd &&
                     ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
                     ::listen(fd.get(), kBacklog) == 0;
  const int reason = errno;
  ::umask(before);
  if (!bound) throw_errno("listen on " + path, reason, ErrorCode::kIo);
  return fd;
}

UniqueFd listen_at(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int on = 1;
  if (!fd || ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(fd.get(), kBacklog) != 0) {
    throw_errno("listen on 127.0.0.1:" + std::to_string(port), errno, ErrorCode::kIo);
  }
  return fd;
}

std::string rendered(const ServerReply& reply) {
  return "HTTP/1.0 " + std::to_string(reply.status) + (reply.status == 200 ? " OK" : " Error") +
         "\r\nContent-Type: " + reply.type + "\r\nContent-Length: " + std::to_string(reply.body.size()) +
         "\r\nConnection: close\r\n\r\n" + reply.body;
}

}  // namespace

Server::Server(const std::string& socket_path, std::uint16_t port, Handler handler)
    : path_(socket_path), unix_(listen_at(socket_path)), handler_(std::move(handler)) {
  if (port != 0) port_ = listen_at(port);
}

Server::~Server() { ::unlink(path_.c_str()); }

void Server::add_to(std::vector<pollfd>& polled) const {
  polled.push_back({unix_.get(), POLLIN, 0});
  if (port_) polled.push_back({port_.get(), POLLIN, 0});
  for (const auto& client : clients_) {
    const short events = client->output.empty() ? static_cast<short>(client->asked ? 0 : POLLIN) : POLLOUT;
    polled.push_back({client->fd.get(), events, 0});
  }
}

void Server::drive() {
  accept_from(unix_, false);
  if (port_) accept_from(port_, true);
  const auto clients = clients_;
  for (const auto& client : clients) {
    if (!client->asked) read_from(client);
    if (!client->output.empty()) write_to(*client);
    if (Clock::now() > client->until) client->done = true;
  }
  clients_.remove_if([](const auto& client) { return client->done; });
}

void Server::accept_from(const UniqueFd& listener, bool local_port) {
  while (clients_.size() < kMostClients) {
    UniqueFd fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd) return;
    auto client = std::make_shared<Client>();
    client->fd = std::move(fd);
    client->local_port = local_port;
    client->until = Clock::now() + kPatience;
    clients_.push_back(std::move(client));
  }
}

void Server::read_from(const std::shared_ptr<Client>& client) {
  std::array<char, 2048> piece{};
  const ssize_t size = ::recv(client->fd.get(), piece.data(), piece.size(), 0);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size <= 0 || client->input.size() + static_cast<std::size_t>(size) > kLongestRequest) {
    client->done = true;
    return;
  }
  client->input.append(piece.data(), static_cast<std::size_t>(size));
  if (client->input.find("\r\n\r\n") == std::string::npos) return;
  client->asked = true;
  const std::size_t method = client->input.find(' ');
  const std::size_t path = client->input.find(' ', method == std::string::npos ? 0 : method + 1);
  const auto answer = [weak = std::weak_ptr<Client>(client)](const ServerReply& reply) {
    if (const auto still = weak.lock()) still->output = rendered(reply);
  };
  if (method == std::string::npos || path == std::string::npos) {
    answer({400, "{\"problem\":\"this is not HTTP\"}", "application/json"});
    return;
  }
  handler_({client->input.substr(0, method), client->input.substr(method + 1, path - method - 1)},
           client->local_port, answer);
}

void Server::write_to(Client& client) {
  const ssize_t size = ::send(client.fd.get(), client.output.data(), client.output.size(), MSG_NOSIGNAL);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size > 0) client.output.erase(0, static_cast<std::size_t>(size));
  if (size <= 0 || client.output.empty()) client.done = true;
}

}  // namespace netctl::overlay
