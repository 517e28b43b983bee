#include "netctl/agent_client.hpp"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "ipam/store.hpp"
#include "plugins/cni/json_text.hpp"

namespace netctl::cli {
namespace {

constexpr int kPatienceSeconds = 15;
constexpr std::size_t kLongestAnswer = 256U << 20U;

std::string socket_path() { return ipam::Store::default_directory() + "/overlay/agent.sock"; }

/// Empty: nobody listens.
UniqueFd connected() {
  const std::string path = socket_path();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) throw Error(ErrorCode::kIo, path + " is too long for a socket");
  std::memcpy(address.sun_path, path.c_str(), path.size());
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval patience{kPatienceSeconds, 0};
  if (!fd || ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0 ||
      ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) != 0) {
    throw_errno("make a socket", errno, ErrorCode::kIo);
  }
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
  if (errno == ENOENT || errno == ECONNREFUSED) return {};
  throw_errno("ask the agent at " + path, errno, ErrorCode::kIo);
}

std::string converse(const UniqueFd& fd, const std::string& request) {
  for (std::size_t sent = 0; sent < request.size();) {
    const ssize_t size = ::send(fd.get(), request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
    if (size < 0) throw_errno("ask the agent", errno, ErrorCode::kIo);
    sent += static_cast<std::size_t>(size);
  }
  std::string answer;
  std::array<char, 16384> piece{};
  while (true) {
    const ssize_t size = ::recv(fd.get(), piece.data(), piece.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) throw_errno("wait for the agent's answer", errno, ErrorCode::kIo);
    if (size == 0) return answer;
    answer.append(piece.data(), static_cast<std::size_t>(size));
    if (answer.size() > kLongestAnswer) throw Error(ErrorCode::kDecode, "the agent's answer has no end");
  }
}

}  // namespace

std::optional<nlohmann::json> ask_agent(const std::string& method, const std::string& path) {
  const UniqueFd fd = connected();
  if (!fd) return std::nullopt;
  const std::string answer = converse(fd, method + " " + path + " HTTP/1.0\r\n\r\n");
  const std::size_t body = answer.find("\r\n\r\n");
  if (!answer.starts_with("HTTP/1.0 ") || body == std::string::npos) {
    throw Error(ErrorCode::kDecode, "the agent's answer was cut off; is it still running?",
                cni::shortened(answer));
  }
  nlohmann::json json = cni::parse_json(answer.substr(body + 4), "the agent's answer");
  if (json.contains("problem")) throw Error(ErrorCode::kTryAgainLater, json.at("problem").get<std::string>());
  return json;
}

}  // namespace netctl::cli
