#include "plugins/engine/port_probe.hpp"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <sstream>
#include <vector>

#include "base/unique_fd.hpp"

namespace netctl::engine {
namespace {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

SocketAddress socket_address(const IpAddress& address, std::uint16_t port) {
  SocketAddress made;
  if (address.is_v4()) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::memcpy(&v4.sin_addr, address.bytes().data(), sizeof v4.sin_addr);
    std::memcpy(&made.storage, &v4, sizeof v4);
    made.size = sizeof v4;
  } else {
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    std::memcpy(&v6.sin6_addr, address.bytes().data(), sizeof v6.sin6_addr);
    std::memcpy(&made.storage, &v6, sizeof v6);
    made.size = sizeof v6;
  }
  return made;
}

/// Only EADDRINUSE counts: an address that is not the host's, or a protocol that the kernel lacks, is not "in use".
bool is_in_use(const IpAddress& address, std::uint8_t protocol, std::uint16_t port) {
  const int type = protocol == IPPROTO_UDP ? SOCK_DGRAM : SOCK_STREAM;
  const UniqueFd fd(::socket(address.af(), type | SOCK_CLOEXEC, protocol));
  if (!fd) return false;
  const int on = 1;
  // Connections in TIME_WAIT do not stand in the way of a listener, so they must not stand in ours.
  if (type == SOCK_STREAM) ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (!address.is_v4()) ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  const SocketAddress target = socket_address(address, port);
  const auto* generic = reinterpret_cast<const sockaddr*>(&target.storage);
  return ::bind(fd.get(), generic, target.size) != 0 && errno == EADDRINUSE;
}

std::string read_file(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string text;
  std::array<char, 4096> chunk{};
  while (fd) {
    const ssize_t size = ::read(fd.get(), chunk.data(), chunk.size());
    if (size <= 0) break;
    text.append(chunk.data(), static_cast<std::size_t>(size));
  }
  return text;
}

/// Inode of the socket bound to this port, from /proc/net/{tcp,udp}{,6}: "sl local_address rem_address st ... inode".
std::string socket_inode(const std::string& table, std::uint16_t port) {
  const std::string text = read_file("/proc/thread-self/net/" + table);
  std::array<char, 8> wanted{};
  std::snprintf(wanted.data(), wanted.size(), ":%04X ", port);
  std::size_t line_start = text.find('\n');
  while (line_start != std::string::npos && line_start + 1 < text.size()) {
    const std::size_t line_end = text.find('\n', line_start + 1);
    const std::string line = text.substr(line_start + 1, line_end - line_start - 1);
    line_start = line_end;
    const std::size_t local = line.find(": ") + 2;
    if (line.compare(line.find(':', local), 6, wanted.data()) != 0) continue;
    std::array<char, 32> inode{};
    constexpr const char* kTenthField = "%*s %*s %*s %*s %*s %*s %*s %*s %*s %31s";
    if (std::sscanf(line.c_str(), kTenthField, inode.data()) == 1) return inode.data();
  }
  return {};
}

bool holds_socket(const std::string& pid, const std::string& link_text) {
  const std::string folder = "/proc/" + pid + "/fd";
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(::opendir(folder.c_str()), ::closedir);
  if (!entries) return false;
  while (const dirent* entry = ::readdir(entries.get())) {
    std::array<char, 64> target{};
    const std::string path = folder + "/" + entry->d_name;
    const ssize_t size = ::readlink(path.c_str(), target.data(), target.size());
    if (size > 0 && link_text == std::string_view(target.data(), static_cast<std::size_t>(size))) return true;
  }
  return false;
}

Listener find_holder(const std::string& inode) {
  const std::string link_text = "socket:[" + inode + "]";
  const std::unique_ptr<DIR, int (*)(DIR*)> processes(::opendir("/proc"), ::closedir);
  while (const dirent* entry = processes ? ::readdir(processes.get()) : nullptr) {
    const std::string pid = entry->d_name;
    if (pid.find_first_not_of("0123456789") != std::string::npos || !holds_socket(pid, link_text)) continue;
    Listener listener;
    std::from_chars(pid.data(), pid.data() + pid.size(), listener.pid);
    listener.name = read_file("/proc/" + pid + "/comm");
    if (!listener.name.empty()) listener.name.pop_back();
    std::istringstream arguments(read_file("/proc/" + pid + "/cmdline"));
    for (std::string argument; std::getline(arguments, argument, '\0');) {
      listener.arguments.push_back(std::move(argument));
    }
    return listener;
  }
  return {};
}

}  // namespace

std::optional<Listener> find_listener(const ipam::PortRecord& port) {
  std::vector<IpAddress> addresses;
  if (port.host_ip) {
    addresses = {*port.host_ip};
  } else {
    addresses = {IpAddress::any(Family::kIpv4), IpAddress::any(Family::kIpv6)};
  }
  for (unsigned offset = 0; offset < port.count; ++offset) {
    const auto number = static_cast<std::uint16_t>(port.host_port + offset);
    for (const IpAddress& address : addresses) {
      if (!is_in_use(address, port.protocol, number)) continue;
      const std::string table = port.protocol == IPPROTO_UDP ? "udp" : "tcp";
      std::string inode = socket_inode(table, number);
      if (inode.empty()) inode = socket_inode(table + "6", number);
      return inode.empty() ? Listener{} : find_holder(inode);
    }
  }
  return std::nullopt;
}

}  // namespace netctl::engine
