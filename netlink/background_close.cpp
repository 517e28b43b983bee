#include <sys/socket.h>

#include <array>
#include <cstring>

#include "base/unique_fd.hpp"
#include "netlink/background_close_internal.hpp"

namespace netctl::netlink {

void close_in_background(int fd) noexcept {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) != 0) return;
  // Destroyed in reverse: the sender first, whose release wakes the collector while the receiver is not garbage yet. So the
  // file goes with the next release of any local socket on the machine, as a rule after the grace period, and not at once:
  // closing holds the lock of nf_tables while it waits, and the DEL that follows a chained one would wait for that.
  const UniqueFd receiver(pair[1]);
  const UniqueFd sender(pair[0]);
  const std::array<int, 2> passed{receiver.get(), fd};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof passed)> control{};
  char byte = 0;
  iovec content{&byte, 1};
  msghdr message{};
  message.msg_iov = &content;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* rights = CMSG_FIRSTHDR(&message);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof passed);
  std::memcpy(CMSG_DATA(rights), passed.data(), sizeof passed);
  (void)::sendmsg(sender.get(), &message, 0);
}

}  // namespace netctl::netlink
