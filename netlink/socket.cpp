#include "netlink/socket.hpp"

#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <linux/netlink.h>

#include <algorithm>
#include <array>
#include <cstring>

#include <libmnl/libmnl.h>

#include "netlink/background_close_internal.hpp"
#include "netlink/wire.hpp"

namespace netctl::netlink {
namespace {

// One buffer, cut into slots for recvmmsg. Answers need the whole of it (32 KiB is what the kernel fills at most in one
// part of a dump), acks are small and come one a datagram.
constexpr std::size_t kBufferSize = 32768;
constexpr std::size_t kAckSlots = 16;
constexpr std::size_t kAnswerSlots = 1;

constexpr int kPatienceMs = 5000;
constexpr int kDumpAttempts = 8;

// The default receive buffer (208 KiB) holds about 270 acks, the send buffer a datagram of that size.
constexpr std::size_t kAcksOfDefaultBuffer = 128;
constexpr std::size_t kBytesPerQueuedAck = 2048;
constexpr std::size_t kDatagramOfDefaultBuffer = 65536;

Error refusal(const std::string& doing, const Ack& ack) {
  std::string message = "could not " + doing + ": " + errno_text(ack.sys_errno);
  if (ack.sys_errno == EPERM)
    message += " (CAP_NET_ADMIN is needed in the user namespace that owns the network namespace)";
  return {ErrorCode::kKernel, message, ack.kernel_text, ack.sys_errno};
}

bool means_absent(int sys_errno) {
  return sys_errno == ENODEV || sys_errno == ENOENT || sys_errno == ESRCH || sys_errno == ENXIO;
}

}  // namespace

struct Socket::Impl {
  explicit Impl(Bus wanted);
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() {
    if (bus == Bus::kNetfilter) close_in_background(fd());
    ::mnl_socket_close(mnl);
  }

  [[nodiscard]] int fd() const { return ::mnl_socket_get_fd(mnl); }
  void enable(int option);
  void enlarge(int force_option, int option, std::size_t bytes) const;
  void append(const Request& request, std::uint16_t set_flags, std::uint16_t clear_flags);
  void send(Bytes datagram, std::size_t expected_acks);
  bool receive(std::size_t slots, const MessageHandler& handle);
  void wait() const;
  std::vector<Ack> read_acks(std::uint32_t first, std::uint32_t count, Ack& whole, bool drain = false);
  std::size_t append_chunk(std::span<const Request> requests);
  [[nodiscard]] std::vector<std::pair<std::uint32_t, Ack>> read_failures(std::uint32_t last);
  bool read_dump(std::uint32_t sequence, std::vector<Reply>& replies, Ack& end);

  mnl_socket* mnl = nullptr;
  Bus bus;
  std::uint32_t port_id = 0;
  std::uint32_t next_sequence = 1;
  std::vector<std::uint8_t> outgoing;
  // Left uninitialised: most processes touch a page of it or two.
  std::unique_ptr<std::uint8_t[]> incoming{new std::uint8_t[kBufferSize]};
};

Socket::Impl::Impl(Bus wanted) : bus(wanted) {
  mnl = ::mnl_socket_open2(bus == Bus::kRoute ? NETLINK_ROUTE : NETLINK_NETFILTER, SOCK_CLOEXEC);
  if (mnl == nullptr) throw_errno("could not open a netlink socket");
  try {
    if (::mnl_socket_bind(mnl, 0, MNL_SOCKET_AUTOPID) != 0) throw_errno("could not bind a netlink socket");
    port_id = ::mnl_socket_get_portid(mnl);
    enable(NETLINK_EXT_ACK);
    enable(NETLINK_CAP_ACK);
    enable(NETLINK_GET_STRICT_CHK);
  } catch (...) {
    ::mnl_socket_close(mnl);
    throw;
  }
}

void Socket::Impl::enable(int option) {
  int on = 1;
  if (::mnl_socket_setsockopt(mnl, option, &on, sizeof on) != 0) {
    throw_errno("could not set up a netlink socket (Linux 5.8 or later is needed)");
  }
}

/// Beyond the system-wide limit where that is allowed, else up to it.
void Socket::Impl::enlarge(int force_option, int option, std::size_t bytes) const {
  const int size = static_cast<int>(std::min<std::size_t>(bytes, 1U << 30U));
  if (::setsockopt(fd(), SOL_SOCKET, force_option, &size, sizeof size) != 0) {
    (void)::setsockopt(fd(), SOL_SOCKET, option, &size, sizeof size);
  }
}

/// Adds the request to `outgoing` with the next sequence number.
void Socket::Impl::append(const Request& request, std::uint16_t set_flags, std::uint16_t clear_flags) {
  const Bytes bytes = request.bytes();
  nlmsghdr header{};
  std::memcpy(&header, bytes.data(), sizeof header);
  header.nlmsg_flags = static_cast<std::uint16_t>((header.nlmsg_flags | set_flags) & ~clear_flags);
  header.nlmsg_seq = next_sequence++;
  const std::size_t start = outgoing.size();
  outgoing.insert(outgoing.end(), bytes.begin(), bytes.end());
  std::memcpy(outgoing.data() + start, &header, sizeof header);
}

void Socket::Impl::send(Bytes datagram, std::size_t expected_acks) {
  if (expected_acks > kAcksOfDefaultBuffer)
    enlarge(SO_RCVBUFFORCE, SO_RCVBUF, expected_acks * kBytesPerQueuedAck);
  if (datagram.size() > kDatagramOfDefaultBuffer) enlarge(SO_SNDBUFFORCE, SO_SNDBUF, 2 * datagram.size());
  ssize_t sent = 0;
  do {
    sent = ::mnl_socket_sendto(mnl, datagram.data(), datagram.size());
  } while (sent < 0 && errno == EINTR);
  if (sent < 0)
    throw_errno("could not send a request of " + std::to_string(datagram.size()) + " bytes to the kernel");
}

/// Takes up to `slots` datagrams off the queue without waiting, and hands on the messages that the kernel addressed to
/// this socket. False when the queue was empty.
bool Socket::Impl::receive(std::size_t slots, const MessageHandler& handle) {
  std::array<mmsghdr, kAckSlots> headers{};
  std::array<iovec, kAckSlots> parts{};
  std::array<sockaddr_nl, kAckSlots> senders{};
  const std::size_t slot_size = kBufferSize / (slots == kAnswerSlots ? kAnswerSlots : kAckSlots);
  for (std::size_t i = 0; i < slots; ++i) {
    parts[i] = {incoming.get() + i * slot_size, slot_size};
    headers[i].msg_hdr.msg_name = &senders[i];
    headers[i].msg_hdr.msg_namelen = sizeof senders[i];
    headers[i].msg_hdr.msg_iov = &parts[i];
    headers[i].msg_hdr.msg_iovlen = 1;
  }
  int received = 0;
  do {
    received = ::recvmmsg(fd(), headers.data(), static_cast<unsigned>(slots), MSG_DONTWAIT, nullptr);
  } while (received < 0 && errno == EINTR);
  if (received < 0) {
    if (errno == EAGAIN) return false;
    throw_errno(
        errno == ENOBUFS
            ? "the kernel's answers did not fit the receive buffer of the netlink socket, some are lost"
            : "could not read the kernel's answer");
  }
  for (std::size_t i = 0; i < static_cast<std::size_t>(received); ++i) {
    if (senders[i].nl_pid != 0) continue;  // another process; only the kernel has port 0
    if ((headers[i].msg_hdr.msg_flags & MSG_TRUNC) != 0) {
      throw Error(ErrorCode::kKernel,
                  "the kernel's answer is longer than " + std::to_string(slot_size) + " bytes");
    }
    for_each_message(Bytes(incoming.get() + i * slot_size, headers[i].msg_len),
                     [&](const nlmsghdr& header, Bytes payload) {
                       if (header.nlmsg_pid == port_id) handle(header, payload);
                     });
  }
  return true;
}

/// The kernel queues its answers before sendto() returns, so this is never reached in practice; it bounds what would
/// otherwise be a hang.
void Socket::Impl::wait() const {
  pollfd waiting{fd(), POLLIN, 0};
  int ready = 0;
  do {
    ready = ::poll(&waiting, 1, kPatienceMs);
  } while (ready < 0 && errno == EINTR);
  if (ready < 0) throw_errno("could not wait for the kernel's answer");
  if (ready == 0) throw_errno("the kernel did not answer", ETIMEDOUT);
}

/// Index = sequence - first. An error for a sequence outside the range lands in `whole`: nf_tables refuses a batch in
/// the name of its begin message. Once something failed, an empty queue is the end: the rest will not be answered.
std::vector<Ack> Socket::Impl::read_acks(std::uint32_t first, std::uint32_t count, Ack& whole, bool drain) {
  std::vector<Ack> acks(count);
  std::vector<bool> answered(count);
  std::size_t missing = count;
  bool failed = false;
  const MessageHandler take = [&](const nlmsghdr& header, Bytes payload) {
    if (header.nlmsg_type != NLMSG_ERROR) return;
    Ack ack = read_ack(header.nlmsg_flags, payload);
    failed = failed || ack.sys_errno != 0;
    const std::uint32_t index = header.nlmsg_seq - first;  // wraps far above `count` for earlier ones
    if (index >= count) {
      // The frame of a batch: its begin has the number before the first message, its end the one behind the last.
      const bool framing = header.nlmsg_seq + 1 == first || index == count;
      if (framing && ack.sys_errno != 0) whole = std::move(ack);
    } else if (!answered[index]) {
      answered[index] = true;
      --missing;
      acks[index] = std::move(ack);
    }
  };
  while (missing > 0) {
    if (receive(std::min(missing, kAckSlots), take)) continue;
    if (failed) break;
    wait();
  }
  // What the kernel says of the frame comes behind everything else, and must not be left for the next exchange to find.
  while (drain && receive(kAckSlots, take)) {
  }
  return acks;
}

/// As many requests as a datagram takes; only the last one asks for an ack. Returns how many.
std::size_t Socket::Impl::append_chunk(std::span<const Request> requests) {
  outgoing.clear();
  std::size_t count = 0;
  std::size_t size = 0;
  while (count < requests.size() && (count == 0 || size + requests[count].bytes().size() <= kBufferSize)) {
    size += requests[count++].bytes().size();
  }
  for (std::size_t i = 0; i < count; ++i) append(requests[i], 0, i + 1 < count ? NLM_F_ACK : 0);
  return count;
}

/// Sequence numbers and reasons of the messages that failed, until the ack of `last`.
std::vector<std::pair<std::uint32_t, Ack>> Socket::Impl::read_failures(std::uint32_t last) {
  std::vector<std::pair<std::uint32_t, Ack>> failures;
  bool finished = false;
  const MessageHandler take = [&](const nlmsghdr& header, Bytes payload) {
    if (header.nlmsg_type != NLMSG_ERROR) return;
    Ack ack = read_ack(header.nlmsg_flags, payload);
    if (ack.sys_errno != 0) failures.emplace_back(header.nlmsg_seq, std::move(ack));
    finished = finished || header.nlmsg_seq == last;
  };
  while (!finished) {
    if (!receive(kAckSlots, take)) wait();
  }
  return failures;
}

/// True when the dump is consistent. `end` tells how it ended.
bool Socket::Impl::read_dump(std::uint32_t sequence, std::vector<Reply>& replies, Ack& end) {
  bool finished = false;
  bool consistent = true;
  const MessageHandler take = [&](const nlmsghdr& header, Bytes payload) {
    if (header.nlmsg_seq != sequence || finished) return;
    if ((header.nlmsg_flags & NLM_F_DUMP_INTR) != 0) consistent = false;
    if (header.nlmsg_type == NLMSG_DONE || header.nlmsg_type == NLMSG_ERROR) {
      finished = true;
      end = header.nlmsg_type == NLMSG_DONE ? read_done(header.nlmsg_flags, payload)
                                            : read_ack(header.nlmsg_flags, payload);
    } else {
      replies.push_back({header.nlmsg_type, header.nlmsg_flags, {payload.begin(), payload.end()}});
    }
  };
  while (!finished) {
    if (!receive(kAnswerSlots, take)) wait();
  }
  return consistent;
}

Socket::Socket(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Socket::Socket(Socket&&) noexcept = default;
Socket& Socket::operator=(Socket&&) noexcept = default;
Socket::~Socket() = default;

Socket Socket::open(Bus bus) { return Socket(std::make_unique<Impl>(bus)); }

int Socket::transact(const Request& request) {
  impl_->outgoing.clear();
  const std::uint32_t sequence = impl_->next_sequence;
  impl_->append(request, 0, 0);
  impl_->send(impl_->outgoing, 1);
  Ack stray;
  const Ack ack = impl_->read_acks(sequence, 1, stray).front();
  if (ack.sys_errno != 0 && !request.tolerates(ack.sys_errno)) throw refusal(request.doing(), ack);
  return ack.sys_errno;
}

void Socket::transact_all(std::span<const Request> requests) {
  if (requests.empty()) return;
  impl_->outgoing.clear();
  const std::uint32_t first = impl_->next_sequence;
  for (const Request& request : requests) impl_->append(request, 0, 0);
  impl_->send(impl_->outgoing, requests.size());
  Ack stray;
  const std::vector<Ack> acks = impl_->read_acks(first, static_cast<std::uint32_t>(requests.size()), stray);
  for (std::size_t i = 0; i < acks.size(); ++i) {
    const int sys_errno = acks[i].sys_errno;
    if (sys_errno != 0 && !requests[i].tolerates(sys_errno)) throw refusal(requests[i].doing(), acks[i]);
  }
}

void Socket::transact_many(std::span<const Request> requests) {
  std::optional<Error> first_refusal;
  while (!requests.empty()) {
    const std::uint32_t first = impl_->next_sequence;
    const std::size_t count = impl_->append_chunk(requests);
    impl_->send(impl_->outgoing, count);
    for (const auto& [sequence, ack] : impl_->read_failures(impl_->next_sequence - 1)) {
      const std::size_t index = sequence - first;
      if (index >= count || requests[index].tolerates(ack.sys_errno) || first_refusal) continue;
      first_refusal = refusal(requests[index].doing(), ack);
    }
    requests = requests.subspan(count);
  }
  if (first_refusal) throw Error(*first_refusal);
}

std::optional<Reply> Socket::get(const Request& request) {
  impl_->outgoing.clear();
  const std::uint32_t sequence = impl_->next_sequence;
  impl_->append(request, 0, NLM_F_ACK);  // the answer is the ack
  impl_->send(impl_->outgoing, 1);
  std::optional<Reply> reply;
  std::optional<Ack> ack;
  const MessageHandler take = [&](const nlmsghdr& header, Bytes payload) {
    if (header.nlmsg_seq != sequence) return;
    if (header.nlmsg_type == NLMSG_ERROR) {
      ack = read_ack(header.nlmsg_flags, payload);
    } else {
      reply = Reply{header.nlmsg_type, header.nlmsg_flags, {payload.begin(), payload.end()}};
    }
  };
  while (!reply && !ack) {
    if (!impl_->receive(kAnswerSlots, take)) impl_->wait();
  }
  if (ack && ack->sys_errno != 0 && !means_absent(ack->sys_errno) && !request.tolerates(ack->sys_errno)) {
    throw refusal(request.doing(), *ack);
  }
  return reply;
}

std::vector<Reply> Socket::dump(const Request& request) {
  std::vector<Reply> replies;
  for (int attempt = 0; attempt < kDumpAttempts; ++attempt) {
    replies.clear();
    impl_->outgoing.clear();
    const std::uint32_t sequence = impl_->next_sequence;
    impl_->append(request, NLM_F_DUMP, NLM_F_ACK);
    impl_->send(impl_->outgoing, 1);
    Ack end;
    const bool consistent = impl_->read_dump(sequence, replies, end);
    if (end.sys_errno != 0 && !request.tolerates(end.sys_errno)) throw refusal(request.doing(), end);
    if (consistent) break;
  }
  return replies;
}

std::vector<Ack> Socket::exchange(Bytes datagram, std::uint32_t first, std::uint32_t count) {
  impl_->send(datagram, count);
  Ack whole;
  std::vector<Ack> acks = impl_->read_acks(first, count, whole, true);
  if (whole.sys_errno != 0) {
    for (Ack& ack : acks) {
      if (ack.sys_errno == 0) ack = whole;
    }
  }
  return acks;
}

std::uint32_t Socket::reserve_sequences(std::uint32_t count) {
  const std::uint32_t first = impl_->next_sequence;
  impl_->next_sequence += count;
  return first;
}

std::optional<std::uint32_t> Socket::find_link_index(const std::string& ifname) const {
  ifreq request{};
  if (ifname.size() >= sizeof request.ifr_name) return std::nullopt;
  std::memcpy(request.ifr_name, ifname.data(), ifname.size());
  if (::ioctl(impl_->fd(), SIOCGIFINDEX, &request) == 0)
    return static_cast<std::uint32_t>(request.ifr_ifindex);
  if (errno == ENODEV) return std::nullopt;
  throw_errno("could not look up the interface " + ifname);
}

std::uint64_t Socket::netns_cookie() const {
  std::uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  if (::getsockopt(impl_->fd(), SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) != 0) {
    throw_errno("could not read the identity of the network namespace (Linux 5.14 or later is needed)");
  }
  return cookie;
}

}  // namespace netctl::netlink
