#pragma once
// Reading what the kernel sent: datagrams into messages, acks into errno and words. Pure functions over bytes, so that
// every length that a hostile or broken answer may claim can be tested without a kernel.

#include <linux/netlink.h>

#include <functional>

#include "netlink/socket.hpp"

namespace netctl::netlink {

using MessageHandler = std::function<void(const nlmsghdr& header, Bytes payload)>;

/// Calls `handle` for each message of a datagram. Errors: kKernel when a message claims more bytes than there are.
void for_each_message(Bytes datagram, const MessageHandler& handle);

/// The content of an NLMSG_ERROR: errno, and the text that NETLINK_EXT_ACK put behind it. A text that is cut off is left
/// out (the errno counts); an answer without room for the errno is kKernel.
[[nodiscard]] Ack read_ack(std::uint16_t flags, Bytes payload);

/// The content of an NLMSG_DONE: how the dump ended. Kernels send the errno, and behind it the words of an extended ack.
[[nodiscard]] Ack read_done(std::uint16_t flags, Bytes payload);

}  // namespace netctl::netlink
