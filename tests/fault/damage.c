/* Test only, preloaded: damages the N-th netlink message that a program sends, on its way, so that the real kernel
 * refuses it. Messages are counted, not datagrams: a batch holds several.
 *
 *   NETCTL_DAMAGE=N        which message, from 1; 0 only counts
 *   NETCTL_DAMAGE_KIND     type: an unknown message type; length: the first attribute claims more bytes than there are;
 *                          value: the object that the message names does not exist (interface index, table name)
 *   NETCTL_DAMAGE_REPORT   a file that gets one line a message: number, protocol, type, flags, "damaged" or "-"
 *
 * The program's buffer stays as it was: the damaged copy is what the kernel sees. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/if_addr.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

enum { kMaximumDatagram = 1 << 20, kUnknownIndex = 0x7ffffff0 };

static unsigned messages_sent;

static unsigned long wanted_message(void) {
  const char* text = getenv("NETCTL_DAMAGE");
  return text != NULL ? strtoul(text, NULL, 10) : 0;
}

static const char* wanted_kind(void) {
  const char* kind = getenv("NETCTL_DAMAGE_KIND");
  return kind != NULL ? kind : "type";
}

static int netlink_protocol(int descriptor) {
  int domain = -1;
  int protocol = -1;
  socklen_t size = sizeof domain;
  if (getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0 || domain != AF_NETLINK) {
    return -1;
  }
  size = sizeof protocol;
  return getsockopt(descriptor, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) == 0 ? protocol : -1;
}

static void report(int protocol, const struct nlmsghdr* message, int damaged) {
  const char* path = getenv("NETCTL_DAMAGE_REPORT");
  if (path == NULL) {
    return;
  }
  const int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (file >= 0) {
    dprintf(file, "%u %d %u %u %s\n", messages_sent, protocol, message->nlmsg_type, message->nlmsg_flags,
            damaged ? "damaged" : "-");
    close(file);
  }
}

/* Bytes of the family's fixed header that follow the netlink header. */
static size_t fixed_header(int protocol, unsigned type) {
  if (protocol == NETLINK_NETFILTER) {
    return sizeof(struct nfgenmsg);
  }
  switch ((type - RTM_BASE) / 4) {
    case (RTM_NEWADDR - RTM_BASE) / 4:
      return sizeof(struct ifaddrmsg);
    case (RTM_NEWROUTE - RTM_BASE) / 4:
    case (RTM_NEWRULE - RTM_BASE) / 4:
      return sizeof(struct rtmsg);
    case (RTM_NEWNEIGH - RTM_BASE) / 4:
      return sizeof(struct ndmsg);
    default:
      return sizeof(struct ifinfomsg);
  }
}

static struct nlattr* find_attribute(struct nlmsghdr* message, size_t header, unsigned wanted) {
  size_t at = NLMSG_HDRLEN + NLMSG_ALIGN(header);
  while (at + NLA_HDRLEN <= message->nlmsg_len) {
    struct nlattr* attribute = (struct nlattr*)((char*)message + at);
    if ((attribute->nla_type & NLA_TYPE_MASK) == wanted) {
      return attribute;
    }
    if (attribute->nla_len < NLA_HDRLEN) {
      break;
    }
    at += NLA_ALIGN(attribute->nla_len);
  }
  return NULL;
}

static int damage_type(int protocol, struct nlmsghdr* message) {
  /* 0xff is neither an rtnetlink family of messages nor a netfilter subsystem. */
  message->nlmsg_type = protocol == NETLINK_NETFILTER ? 0xff00 : 0x0ffc;
  return 1;
}

static int damage_length(int protocol, struct nlmsghdr* message) {
  const size_t at = NLMSG_HDRLEN + NLMSG_ALIGN(fixed_header(protocol, message->nlmsg_type));
  if (at + NLA_HDRLEN > message->nlmsg_len) {
    return 0;
  }
  ((struct nlattr*)((char*)message + at))->nla_len = 0xfff0;
  return 1;
}

static int damage_attribute_bytes(struct nlattr* attribute) {
  if (attribute == NULL || attribute->nla_len <= NLA_HDRLEN) {
    return 0;
  }
  char* payload = (char*)attribute + NLA_HDRLEN;
  payload[0] ^= 0x15;
  return 1;
}

static int damage_route_value(struct nlmsghdr* message) {
  const int unknown = kUnknownIndex;
  struct nlattr* output = NULL;
  switch (message->nlmsg_type) {
    case RTM_NEWLINK:
      /* A creation takes any index as a wish: an unknown one would be granted. */
      if ((message->nlmsg_flags & NLM_F_CREATE) != 0) {
        return damage_attribute_bytes(find_attribute(message, sizeof(struct ifinfomsg), IFLA_MASTER));
      }
      break;
    case RTM_NEWROUTE:
      output = find_attribute(message, sizeof(struct rtmsg), RTA_OIF);
      if (output != NULL) {
        memcpy((char*)output + NLA_HDRLEN, &unknown, sizeof unknown);
      }
      return output != NULL;
    case RTM_NEWADDR:
    case RTM_NEWNEIGH:
    case RTM_SETLINK:
    case RTM_DELLINK:
    case RTM_GETLINK:
      break;
    default:
      return 0;
  }
  /* ifinfomsg, ifaddrmsg and ndmsg all keep the index in their second word. */
  memcpy((char*)message + NLMSG_HDRLEN + 4, &unknown, sizeof unknown);
  return 1;
}

static int damage_value(int protocol, struct nlmsghdr* message) {
  if (protocol == NETLINK_ROUTE) {
    return damage_route_value(message);
  }
  if (protocol != NETLINK_NETFILTER || NFNL_SUBSYS_ID(message->nlmsg_type) != NFNL_SUBSYS_NFTABLES) {
    return 0;
  }
  /* Attribute 1 of every nf_tables message is the name of the table. */
  return damage_attribute_bytes(find_attribute(message, sizeof(struct nfgenmsg), 1));
}

static int damage(int protocol, struct nlmsghdr* message) {
  const char* kind = wanted_kind();
  if (strcmp(kind, "length") == 0) {
    return damage_length(protocol, message);
  }
  if (strcmp(kind, "value") == 0) {
    return damage_value(protocol, message);
  }
  return damage_type(protocol, message);
}

/* Counts the messages of a datagram; damages the wanted one. */
static void pass_datagram(int protocol, char* datagram, size_t size) {
  size_t at = 0;
  while (at + sizeof(struct nlmsghdr) <= size) {
    struct nlmsghdr* message = (struct nlmsghdr*)(datagram + at);
    const struct nlmsghdr original = *message;
    int damaged = 0;
    if (original.nlmsg_len < sizeof original || at + original.nlmsg_len > size) {
      return;
    }
    ++messages_sent;
    if (messages_sent == wanted_message()) {
      damaged = damage(protocol, message);
    }
    report(protocol, &original, damaged);
    at += NLMSG_ALIGN(original.nlmsg_len);
  }
}

ssize_t sendto(int descriptor, const void* data, size_t size, int flags, const struct sockaddr* to,
               socklen_t to_size) {
  static ssize_t (*real)(int, const void*, size_t, int, const struct sockaddr*, socklen_t);
  static char copy[kMaximumDatagram];
  if (real == NULL) {
    *(void**)&real = dlsym(RTLD_NEXT, "sendto");
  }
  const int protocol = netlink_protocol(descriptor);
  if (protocol < 0 || size > sizeof copy) {
    return real(descriptor, data, size, flags, to, to_size);
  }
  memcpy(copy, data, size);
  pass_datagram(protocol, copy, size);
  return real(descriptor, copy, size, flags, to, to_size);
}

ssize_t send(int descriptor, const void* data, size_t size, int flags) {
  return sendto(descriptor, data, size, flags, NULL, 0);
}

ssize_t sendmsg(int descriptor, const struct msghdr* header, int flags) {
  static ssize_t (*real)(int, const struct msghdr*, int);
  static char copy[kMaximumDatagram];
  if (real == NULL) {
    *(void**)&real = dlsym(RTLD_NEXT, "sendmsg");
  }
  const int protocol = netlink_protocol(descriptor);
  size_t size = 0;
  for (size_t i = 0; protocol >= 0 && i < header->msg_iovlen; ++i) {
    if (size + header->msg_iov[i].iov_len > sizeof copy) {
      return real(descriptor, header, flags);
    }
    memcpy(copy + size, header->msg_iov[i].iov_base, header->msg_iov[i].iov_len);
    size += header->msg_iov[i].iov_len;
  }
  if (protocol < 0) {
    return real(descriptor, header, flags);
  }
  pass_datagram(protocol, copy, size);
  struct iovec part = {copy, size};
  struct msghdr damaged = *header;
  damaged.msg_iov = &part;
  damaged.msg_iovlen = 1;
  return real(descriptor, &damaged, flags);
}
