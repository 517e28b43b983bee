#pragma once
// A netlink socket stays in the network namespace in which it was opened: it is how the rest of the code says "in the
// container" or "on the host", and nobody has to walk around with setns.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "netlink/message.hpp"

namespace netctl::netlink {

enum class Bus { kRoute, kNetfilter };

/// The kernel's answer to one message of a batch.
struct Ack {
  int sys_errno = 0;        ///< positive; 0 = done
  std::string kernel_text;  ///< NETLINK_EXT_ACK's words, empty when it said nothing
};

class Socket {
 public:
  /// Opens in the calling thread's current network namespace; extended acks and strict checking are on.
  /// Errors: kKernel.
  [[nodiscard]] static Socket open(Bus bus);
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  Socket(Socket&&) noexcept;
  Socket& operator=(Socket&&) noexcept;
  /// A kNetfilter socket is closed by the kernel in the background: closing one waits until all that was deleted from
  /// nf_tables of late, by anybody, has been freed (nf_tables_api.c, nft_rcv_nl_event: an RCU grace period, 4 to 15 ms).
  ~Socket();

  /// Sends one request and reads its ack. Errors: kKernel "could not <doing>: <errno>", the kernel's words in details;
  /// none for errnos that the request tolerates. Returns the errno that was tolerated, or 0.
  int transact(const Request& request);

  /// Sends all requests as one datagram and reads every ack. A batch is not atomic: the kernel goes on after a message
  /// fails. Errors: that of the first message that failed and does not tolerate it, after all acks were read.
  void transact_all(std::span<const Request> requests);

  /// transact_all() for thousands of requests: in datagrams of at most 32 KiB, of which only the last message is
  /// acknowledged. The kernel reports failures all the same. Errors: the first failure that its request does not
  /// tolerate, after everything was sent.
  void transact_many(std::span<const Request> requests);

  /// Sends a request that is answered by one message (RTM_GETLINK by name or index, ...). nullopt on ENODEV, ENOENT,
  /// ESRCH, ENXIO. Errors: kKernel.
  [[nodiscard]] std::optional<Reply> get(const Request& request);

  /// A dump; restarted when the kernel says that it changed meanwhile (NLM_F_DUMP_INTR), at most 8 times, the last
  /// answer is then returned as it is. Not for the hot path. Errors: kKernel.
  [[nodiscard]] std::vector<Reply> dump(const Request& request);

  /// For nf_tables batches, whose messages are built by libnftnl: sends `datagram` as it is and reads acks until every
  /// sequence number in [first, first + count) was answered or the batch was refused as a whole. Index = sequence - first.
  [[nodiscard]] std::vector<Ack> exchange(Bytes datagram, std::uint32_t first, std::uint32_t count);

  /// Reserves `count` sequence numbers and returns the first.
  [[nodiscard]] std::uint32_t reserve_sequences(std::uint32_t count);

  /// The index of a link in this socket's namespace (SIOCGIFINDEX: a fraction of what RTM_GETLINK costs). nullopt when
  /// there is none of that name. Errors: kKernel.
  [[nodiscard]] std::optional<std::uint32_t> find_link_index(const std::string& ifname) const;

  /// SO_NETNS_COOKIE of the namespace that this socket lives in: the identity of a namespace for as long as the machine
  /// runs (inode numbers are reused at once).
  [[nodiscard]] std::uint64_t netns_cookie() const;

 private:
  struct Impl;
  explicit Socket(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace netctl::netlink
