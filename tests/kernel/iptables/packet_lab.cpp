#include "tests/kernel/iptables/packet_lab.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <sstream>

#include "netlink/sysctl.hpp"

namespace netctl::iptables {
namespace {

constexpr int kPatienceMs = 333;  // the first repetition of a lost SYN comes after a second

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

SocketAddress socket_address(const char* text, unsigned port) {
  SocketAddress address;
  const IpAddress ip = IpAddress::parse(text).value();
  const in_port_t wire_port = htons(static_cast<std::uint16_t>(port));
  if (ip.is_v4()) {
    auto* target = reinterpret_cast<sockaddr_in*>(&address.storage);
    *target = {AF_INET, wire_port, {}, {}};
    std::memcpy(&target->sin_addr, ip.bytes().data(), ip.bytes().size());
    address.size = sizeof *target;
  } else {
    auto* target = reinterpret_cast<sockaddr_in6*>(&address.storage);
    *target = {AF_INET6, wire_port, 0, {}, 0};
    std::memcpy(&target->sin6_addr, ip.bytes().data(), ip.bytes().size());
    address.size = sizeof *target;
  }
  return address;
}

std::string address_text(const sockaddr_storage& storage) {
  char text[INET6_ADDRSTRLEN] = "";
  if (storage.ss_family == AF_INET) {
    ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(&storage)->sin_addr, text, sizeof text);
  } else {
    ::inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_addr, text, sizeof text);
  }
  return text;
}

UniqueFd open_tcp(const SocketAddress& address) {
  UniqueFd fd(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) throw_errno("could not open a TCP socket");
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  return fd;
}

bool becomes_ready(int fd, short events) {
  pollfd waiting{fd, events, 0};
  return ::poll(&waiting, 1, kPatienceMs) == 1;
}

/// 0, the errno with which the connection was refused, or ETIMEDOUT when nobody answered.
int try_to_connect(const SocketAddress& address, UniqueFd& fd) {
  fd = open_tcp(address);
  if (::connect(fd.get(), address.get(), address.size) == 0) return 0;
  if (errno != EINPROGRESS) return errno;
  if (!becomes_ready(fd.get(), POLLOUT)) return ETIMEDOUT;
  int failure = 0;
  socklen_t size = sizeof failure;
  ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &failure, &size);
  return failure;
}

/// The kernel tells a new link's peers that it is up only once a second, and drops what is sent before.
void wait_for_links() {
  for (int attempt = 0; attempt < 100; ++attempt) {
    bool all_up = true;
    for (const auto& link : testing::ip_json({"link"})) {
      if (link.value("ifname", "") != "lo" && link.value("operstate", "") != "UP") all_up = false;
    }
    if (all_up) return;
    ::usleep(50000);
  }
  ADD_FAILURE() << "links do not come up";
}

}  // namespace

Listener::Listener(const netlink::Netns& netns, const char* address, unsigned port) {
  netns.run([&] {
    const SocketAddress local = socket_address(address, port);
    fd_ = open_tcp(local);
    if (::bind(fd_.get(), local.get(), local.size) != 0) throw_errno("could not bind a TCP socket");
    if (::listen(fd_.get(), 16) != 0) throw_errno("could not listen");
  });
}

std::string Listener::next_client() {
  sockaddr_storage client{};
  socklen_t size = sizeof client;
  if (!becomes_ready(fd_.get(), POLLIN)) return "none";
  const UniqueFd connection(::accept4(fd_.get(), reinterpret_cast<sockaddr*>(&client), &size, SOCK_CLOEXEC));
  return connection ? address_text(client) : "none";
}

std::string PacketLab::connect(const netlink::Netns& netns, const char* address, unsigned port,
                               Listener& server) {
  UniqueFd fd;
  int failure = 0;
  netns.run([&] { failure = try_to_connect(socket_address(address, port), fd); });
  if (failure == ECONNREFUSED) return "refused";
  return failure == 0 ? server.next_client() : "none";
}

void PacketLab::ip(const netlink::Netns& netns, const std::string& arguments) {
  std::vector<std::string> command{"ip"};
  std::istringstream words(arguments);
  for (std::string word; words >> word;) command.push_back(word);
  netns.run([&] { testing::output_of(command); });
}

void PacketLab::sysctl(const netlink::Netns& netns, const std::string& path, const std::string& value) {
  netns.run([&] { ASSERT_TRUE(netlink::write_sysctl(path, value)) << path; });
}

void PacketLab::add_bridge(const std::string& name, const std::string& subnet4, const std::string& subnet6) {
  ip(host(), "link add " + name + " up type bridge");
  ip(host(), "address add " + subnet4 + "1/16 dev " + name);
  ip(host(), "address add " + subnet6 + "1/64 dev " + name + " nodad");
  sysctl(host(), "ipv4/conf/" + name + "/route_localnet", "1");
}

bool PacketLab::set_bridge_netfilter(bool on) {
  bool is_there = false;
  host().run([&] {
    for (const char* key : {"bridge/bridge-nf-call-iptables", "bridge/bridge-nf-call-ip6tables"}) {
      is_there = netlink::write_sysctl(key, on ? "1" : "0").has_value();
    }
  });
  return is_there;
}

netlink::Netns PacketLab::add_container(const std::string& bridge, const std::string& link,
                                        const std::string& net4, const std::string& net6, unsigned number) {
  netlink::Netns container = make_container();
  const std::string own_path =
      "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(container.fd());
  ip(host(), "link add " + link + " up type veth peer name eth0 netns " + own_path);
  ip(host(), "link set " + link + " master " + bridge);
  sysctl(container, "ipv6/conf/eth0/accept_dad", "0");
  const std::string digit = std::to_string(number);
  ip(container, "link set eth0 up");
  ip(container, "address add " + net4 + digit + "/16 dev eth0");
  ip(container, "address add " + net6 + digit + "/64 dev eth0 nodad");
  ip(container, "route add default via " + net4 + "1");
  ip(container, "route add default via " + net6 + "1");
  return container;
}

void PacketLab::add_outside() {
  outside_ = make_container();
  const std::string own_path =
      "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(outside_->fd());
  ip(host(), "link add wan up type veth peer name eth0 netns " + own_path);
  for (const char* address : {"203.0.113.1/24", "198.51.100.1/24", "192.168.4.1/24", "2001:db8::1/64"}) {
    ip(host(),
       std::string("address add ") + address + " dev wan" + (std::strchr(address, ':') ? " nodad" : ""));
  }
  sysctl(*outside_, "ipv6/conf/eth0/accept_dad", "0");
  ip(*outside_, "link set eth0 up");
  for (const char* address : {"203.0.113.2/24", "192.168.4.2/24", "2001:db8::2/64"}) {
    ip(*outside_,
       std::string("address add ") + address + " dev eth0" + (std::strchr(address, ':') ? " nodad" : ""));
  }
  ip(*outside_, "route add default via 203.0.113.1");
  ip(*outside_, "route add default via 2001:db8::1");
}

void PacketLab::SetUp() {
  PolicyTableTest::SetUp();
  ip(host(), "link set lo up");
  sysctl(host(), "ipv6/conf/default/accept_dad", "0");
  sysctl(host(), "ipv4/ip_forward", "1");
  sysctl(host(), "ipv6/conf/all/forwarding", "1");
  set_bridge_netfilter(false);
  add_bridge("lab0", "10.88.0.", "fd00:88::");
  add_bridge("lab1", "10.89.0.", "fd00:89::");
  web_ = add_container("lab0", "web", "10.88.0.", "fd00:88::", 2);
  peer_ = add_container("lab0", "peer", "10.88.0.", "fd00:88::", 3);
  other_ = add_container("lab1", "other", "10.89.0.", "fd00:89::", 2);
  add_outside();
  for (const netlink::Netns* netns : {&host(), &outside(), &web(), &peer(), &other()})
    netns->run(wait_for_links);
}

NetworkPolicy PacketLab::lab0() {
  NetworkPolicy network;
  network.network = "lab0";
  network.link = "lab0";
  network.masquerade = {sample::prefix("10.88.0.0/16"), sample::prefix("fd00:88::/64")};
  network.masquerade_exclude = {sample::prefix("192.168.4.0/24")};
  network.publishes = true;
  return network;
}

NetworkPolicy PacketLab::lab1() {
  NetworkPolicy network;
  network.network = "lab1";
  network.link = "lab1";
  network.masquerade = {sample::prefix("10.89.0.0/16"), sample::prefix("fd00:89::/64")};
  network.publishes = true;
  return network;
}

void PacketLab::install(const NetworkPolicy& network, const std::vector<PublishedPort>& ports) {
  table().install(network);
  ASSERT_EQ(table().put(network, ports), PolicyTable::Put::kDone);
}

}  // namespace netctl::iptables
