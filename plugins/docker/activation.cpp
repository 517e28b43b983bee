#include "plugins/docker/activation.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "base/error.hpp"

namespace netctl::docker {
namespace {

constexpr int kFirstPassed = 3;  // SD_LISTEN_FDS_START
constexpr int kBacklog = 128;

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

UniqueFd passed_socket() {
  if (variable("LISTEN_PID") != std::to_string(::getpid())) return {};
  if (variable("LISTEN_FDS") != "1") {
    throw Error(ErrorCode::kIo,
                "one socket is wanted of the service manager, LISTEN_FDS=" + variable("LISTEN_FDS"));
  }
  int listens = 0;
  socklen_t size = sizeof listens;
  if (::getsockopt(kFirstPassed, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || listens == 0) {
    throw Error(ErrorCode::kIo, "descriptor 3, handed over by the service manager, is no listening socket");
  }
  UniqueFd socket(kFirstPassed);
  ::fcntl(socket.get(), F_SETFD, FD_CLOEXEC);
  return socket;
}

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    throw Error(ErrorCode::kIo, "the path of the socket must have 1 to 107 bytes: " + path);
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

UniqueFd unix_socket() {
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) throw_errno("cannot make a socket", errno, ErrorCode::kIo);
  return socket;
}

/// A socket that nobody listens on is what a killed daemon left.
void clear_the_way(const std::string& path, const sockaddr_un& address) {
  struct stat found {};
  if (::lstat(path.c_str(), &found) != 0) return;
  if (!S_ISSOCK(found.st_mode))
    throw Error(ErrorCode::kIo, path + " is no socket; remove it, or name another path");
  const UniqueFd probe = unix_socket();
  if (::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
    throw Error(ErrorCode::kIo, "another process listens on " + path + " already; stop it first");
  }
  ::unlink(path.c_str());
}

}  // namespace

UniqueFd listening_socket(const std::string& path) {
  if (UniqueFd passed = passed_socket()) return passed;
  const sockaddr_un address = address_of(path);
  std::error_code ignored;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
  clear_the_way(path, address);
  UniqueFd socket = unix_socket();
  constexpr mode_t kOwnerOnly = 0177;
  const mode_t before = ::umask(kOwnerOnly);
  const int bound = ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int problem = errno;
  ::umask(before);
  if (bound != 0) throw_errno("cannot listen on " + path, problem, ErrorCode::kIo);
  if (::listen(socket.get(), kBacklog) != 0) throw_errno("cannot listen on " + path, errno, ErrorCode::kIo);
  return socket;
}

}  // namespace netctl::docker
