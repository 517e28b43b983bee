#include "netlink/wire.hpp"

#include <algorithm>
#include <cstring>

namespace netctl::netlink {
namespace {

constexpr std::size_t kHeaderSize = sizeof(nlmsghdr);

constexpr std::size_t aligned(std::size_t size) {
  return (size + NLMSG_ALIGNTO - 1) & ~std::size_t{NLMSG_ALIGNTO - 1};
}

std::string read_text(Bytes attributes) {
  try {
    const std::optional<Attribute> text = find_attribute(attributes, NLMSGERR_ATTR_MSG);
    return text ? text->text() : std::string();
  } catch (const Error&) {
    return {};  // the text is a courtesy; losing it must not hide the errno
  }
}

int read_errno(Bytes payload) {
  int negative = 0;
  if (payload.size() < sizeof negative) {
    throw Error(ErrorCode::kKernel, "the kernel's answer is too short to hold an error number");
  }
  std::memcpy(&negative, payload.data(), sizeof negative);
  // Everything but -4095..0 is no errno; INT_MIN must not be negated.
  return negative <= 0 && negative > -4096 ? -negative : EPROTO;
}

}  // namespace

void for_each_message(Bytes datagram, const MessageHandler& handle) {
  while (!datagram.empty()) {
    nlmsghdr header{};
    if (datagram.size() < kHeaderSize) {
      throw Error(ErrorCode::kKernel, "the kernel's answer ends inside a message header");
    }
    std::memcpy(&header, datagram.data(), sizeof header);
    if (header.nlmsg_len < kHeaderSize || header.nlmsg_len > datagram.size()) {
      throw Error(ErrorCode::kKernel, "the kernel's answer claims a message of " +
                                          std::to_string(header.nlmsg_len) + " bytes where " +
                                          std::to_string(datagram.size()) + " are left");
    }
    handle(header, datagram.subspan(kHeaderSize, header.nlmsg_len - kHeaderSize));
    datagram = datagram.subspan(std::min(datagram.size(), aligned(header.nlmsg_len)));
  }
}

Ack read_ack(std::uint16_t flags, Bytes payload) {
  Ack ack;
  ack.sys_errno = read_errno(payload);
  if ((flags & NLM_F_ACK_TLVS) == 0 || payload.size() < sizeof(nlmsgerr)) return ack;
  std::size_t attributes_at = sizeof(nlmsgerr);
  if ((flags & NLM_F_CAPPED) == 0) {
    // The whole request is echoed between the errno and the attributes.
    nlmsgerr echo{};
    std::memcpy(&echo, payload.data(), sizeof echo);
    if (echo.msg.nlmsg_len < kHeaderSize || echo.msg.nlmsg_len > payload.size()) return ack;
    attributes_at = sizeof(nlmsgerr) - kHeaderSize + aligned(echo.msg.nlmsg_len);
  }
  if (attributes_at < payload.size()) ack.kernel_text = read_text(payload.subspan(attributes_at));
  return ack;
}

Ack read_done(std::uint16_t flags, Bytes payload) {
  Ack ack;
  if (payload.empty()) return ack;
  ack.sys_errno = read_errno(payload);
  if ((flags & NLM_F_ACK_TLVS) != 0) ack.kernel_text = read_text(payload.subspan(sizeof(int)));
  return ack;
}

}  // namespace netctl::netlink
