/* The kernel floor: what ADD and DEL of one container cost when nothing but the necessary netlink messages is sent.
 *
 *   floor setup                       the shared part: bridge with its address, table, maps, chains (not measured)
 *   floor add NETNS HOSTPORT ADDRESS  veth pair, address, default route, HOSTPORT/tcp published to ADDRESS:8080
 *   floor del HOSTPORT ADDRESS        with HOSTPORT 0 both are without the published port
 *   floor device ADDRESS              an ifb device and nothing else; `floor del 0 ADDRESS` deletes it
 *   floor count                       how many netlink messages `add` and `del` send (tests/ hold it by tracing)
 *
 * It reserves nothing, checks nothing, remembers nothing. Raw sockets and libc only: whatever is added here makes the
 * product look better than it is, so nothing is.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/if_link.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>

#define BRIDGE "floor0"
#define TABLE "netctl_floor"
#define PUBLISH_MAP "publish4"
#define TARGET_SET "published_targets4"
#define GATEWAY "10.77.0.1"
#define PREFIX_LENGTH 16
#define MTU 1500
#define CONTAINER_PORT 8080

enum { kAddMessages = 10, kDelMessages = 5 };

struct Batch {
  _Alignas(8) char data[2048];
  uint32_t used;
  struct nlmsghdr* last;
  int acks_due;
};

struct Attachment {
  char host_link[IF_NAMESIZE];
  uint32_t address;   /* network byte order */
  uint16_t host_port; /* host byte order */
};

static void fail(const char* what) {
  fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
  exit(1);
}

/* ---- messages ------------------------------------------------------------------------------------------------ */

static void* append(struct Batch* batch, const void* bytes, uint32_t length) {
  char* at = batch->data + batch->used;
  memcpy(at, bytes, length);
  batch->used += NLMSG_ALIGN(length);
  if (batch->last != NULL)
    batch->last->nlmsg_len = (uint32_t)(batch->data + batch->used - (char*)batch->last);
  return at;
}

static void start_message(struct Batch* batch, uint16_t type, uint16_t flags, const void* header,
                          uint32_t length) {
  struct nlmsghdr message = {.nlmsg_type = type, .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags)};
  batch->last = NULL;
  batch->last = append(batch, &message, sizeof message);
  append(batch, header, length);
  if (flags & NLM_F_ACK) batch->acks_due++;
}

static void put(struct Batch* batch, uint16_t type, const void* bytes, uint32_t length) {
  struct nlattr attribute = {.nla_len = (uint16_t)(sizeof attribute + length), .nla_type = type};
  append(batch, &attribute, sizeof attribute);
  append(batch, bytes, length);
}

static void put_text(struct Batch* batch, uint16_t type, const char* text) {
  put(batch, type, text, (uint32_t)strlen(text) + 1);
}

static uint32_t open_nest(struct Batch* batch, uint16_t type) {
  uint32_t start = batch->used;
  put(batch, type | NLA_F_NESTED, "", 0);
  return start;
}

static void close_nest(struct Batch* batch, uint32_t start) {
  ((struct nlattr*)(batch->data + start))->nla_len = (uint16_t)(batch->used - start);
}

static int open_socket(int protocol) {
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
  if (fd < 0) fail("socket");
  return fd;
}

/* The kernel has done the work when sendto() returns; every ack is then read, as a careful program must. */
static void transact(int fd, struct Batch* batch, const char* what) {
  struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
  if (sendto(fd, batch->data, batch->used, 0, (struct sockaddr*)&kernel, sizeof kernel) < 0) fail(what);
  while (batch->acks_due > 0) {
    _Alignas(8) char reply[4096];
    ssize_t got = recv(fd, reply, sizeof reply, 0);
    if (got < 0) fail(what);
    uint32_t left = (uint32_t)got;
    for (struct nlmsghdr* message = (struct nlmsghdr*)reply; NLMSG_OK(message, left);
         message = NLMSG_NEXT(message, left)) {
      const struct nlmsgerr* answer = NLMSG_DATA(message);
      if (message->nlmsg_type != NLMSG_ERROR) continue;
      errno = -answer->error;
      if (errno != 0) fail(what);
      batch->acks_due--;
    }
  }
}

/* ---- links --------------------------------------------------------------------------------------------------- */

static void put_mac(struct Batch* batch, uint8_t first, uint32_t address) {
  uint8_t mac[6] = {first, 0x42};
  memcpy(mac + 2, &address, sizeof address);
  put(batch, IFLA_ADDRESS, mac, sizeof mac);
}

/* One ioctl on a socket that is open anyway costs less than RTM_GETLINK and its answer. */
static int link_index(int fd, const char* name) {
  struct ifreq request = {0};
  strncpy(request.ifr_name, name, IF_NAMESIZE - 1);
  if (ioctl(fd, SIOCGIFINDEX, &request) < 0) fail("index of a link");
  return request.ifr_ifindex;
}

/* Both ends in one message: ours up and enslaved, the peer born in the container under its final name. */
static void put_new_pair(struct Batch* batch, const struct Attachment* attachment, int bridge, int netns) {
  const struct ifinfomsg host_end = {.ifi_flags = IFF_UP, .ifi_change = IFF_UP};
  const struct ifinfomsg peer_end = {0};
  const uint32_t mtu = MTU;
  start_message(batch, RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &host_end, sizeof host_end);
  put_text(batch, IFLA_IFNAME, attachment->host_link);
  put(batch, IFLA_MASTER, &bridge, sizeof bridge);
  put(batch, IFLA_MTU, &mtu, sizeof mtu);
  put_mac(batch, 0x06, attachment->address);
  uint32_t info = open_nest(batch, IFLA_LINKINFO);
  put_text(batch, IFLA_INFO_KIND, "veth");
  uint32_t data = open_nest(batch, IFLA_INFO_DATA);
  uint32_t peer = open_nest(batch, VETH_INFO_PEER);
  append(batch, &peer_end, sizeof peer_end);
  put_text(batch, IFLA_IFNAME, "eth0");
  put(batch, IFLA_NET_NS_FD, &netns, sizeof netns);
  put(batch, IFLA_MTU, &mtu, sizeof mtu);
  put_mac(batch, 0x02, attachment->address);
  close_nest(batch, peer);
  close_nest(batch, data);
  close_nest(batch, info);
}

/* RTM_NEWLINK ignores the alias of a link that it creates, hence a message of its own. */
static void put_alias(struct Batch* batch, const struct Attachment* attachment) {
  const struct ifinfomsg any = {0};
  start_message(batch, RTM_SETLINK, NLM_F_ACK, &any, sizeof any);
  put_text(batch, IFLA_IFNAME, attachment->host_link);
  put(batch, IFLA_IFALIAS, "netctl:1:floor:0123456789abc:10.77.0.2", 38);
}

static void put_up(struct Batch* batch, int index) {
  const struct ifinfomsg up = {.ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
  start_message(batch, RTM_SETLINK, NLM_F_ACK, &up, sizeof up);
}

static void put_address(struct Batch* batch, int index, uint32_t address) {
  const struct ifaddrmsg header = {.ifa_family = AF_INET,
                                   .ifa_prefixlen = PREFIX_LENGTH,
                                   .ifa_flags = IFA_F_NODAD,
                                   .ifa_index = (uint32_t)index};
  start_message(batch, RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &header, sizeof header);
  put(batch, IFA_LOCAL, &address, sizeof address);
}

static void put_default_route(struct Batch* batch, int index) {
  const struct rtmsg header = {.rtm_family = AF_INET,
                               .rtm_table = RT_TABLE_MAIN,
                               .rtm_protocol = RTPROT_STATIC,
                               .rtm_scope = RT_SCOPE_UNIVERSE,
                               .rtm_type = RTN_UNICAST};
  const uint32_t gateway = inet_addr(GATEWAY);
  start_message(batch, RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &header, sizeof header);
  put(batch, RTA_GATEWAY, &gateway, sizeof gateway);
  put(batch, RTA_OIF, &index, sizeof index);
}

/* ---- nf_tables ----------------------------------------------------------------------------------------------- */

static void put_nft_message(struct Batch* batch, uint16_t type, uint16_t flags, uint8_t family,
                            uint16_t resource) {
  const struct nfgenmsg header = {.nfgen_family = family, .version = NFNETLINK_V0, .res_id = htons(resource)};
  start_message(batch, type, flags, &header, sizeof header);
}

static void put_value(struct Batch* batch, uint16_t type, const void* bytes, uint32_t length) {
  uint32_t nest = open_nest(batch, type);
  put(batch, NFTA_DATA_VALUE, bytes, length);
  close_nest(batch, nest);
}

/* `target` of NULL: an element without a value. */
static void put_element(struct Batch* batch, int message, const char* set, const void* key,
                        uint32_t key_length, const void* target, uint32_t target_length) {
  const char comment[] =
      "\0\x15netctl:1:floor:012345"; /* libnftnl's user data: type 0, length, text with its NUL */
  const int is_new = message == NFT_MSG_NEWSETELEM;
  put_nft_message(batch, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | message),
                  (uint16_t)(NLM_F_ACK | (is_new ? NLM_F_CREATE : 0)), NFPROTO_INET, 0);
  put_text(batch, NFTA_SET_ELEM_LIST_TABLE, TABLE);
  put_text(batch, NFTA_SET_ELEM_LIST_SET, set);
  uint32_t elements = open_nest(batch, NFTA_SET_ELEM_LIST_ELEMENTS);
  uint32_t element = open_nest(batch, NFTA_LIST_ELEM);
  put_value(batch, NFTA_SET_ELEM_KEY, key, key_length);
  if (is_new && target != NULL) put_value(batch, NFTA_SET_ELEM_DATA, target, target_length);
  if (is_new) put(batch, NFTA_SET_ELEM_USERDATA, comment, sizeof comment);
  close_nest(batch, element);
  close_nest(batch, elements);
}

/* HOSTPORT/tcp leads to ADDRESS:8080, and ADDRESS:8080 sees the host's address when its own network comes that way.
 * Masquerade and all rules are the network's, made once. In keys and values every part starts on a 4-byte border. */
static void change_elements(int fd, int message, const struct Attachment* attachment) {
  const uint16_t host_port = htons(attachment->host_port);
  const uint16_t container_port = htons(CONTAINER_PORT);
  uint8_t published[8] = {IPPROTO_TCP};
  uint8_t target[8] = {0};
  uint8_t hairpin[12] = {0};
  memcpy(published + 4, &host_port, sizeof host_port);
  memcpy(target, &attachment->address, sizeof attachment->address);
  memcpy(target + 4, &container_port, sizeof container_port);
  memcpy(hairpin, &attachment->address, sizeof attachment->address);
  hairpin[4] = IPPROTO_TCP;
  memcpy(hairpin + 8, &container_port, sizeof container_port);

  struct Batch batch = {.used = 0};
  put_nft_message(&batch, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
  put_element(&batch, message, PUBLISH_MAP, published, sizeof published, target, sizeof target);
  put_element(&batch, message, TARGET_SET, hairpin, sizeof hairpin, NULL, 0);
  put_nft_message(&batch, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
  transact(fd, &batch, "published port");
}

/* ---- verbs --------------------------------------------------------------------------------------------------- */

static void add(const struct Attachment* attachment, const char* netns_path) {
  struct Batch host = {.used = 0};
  struct Batch inside = {.used = 0};
  int netns = open(netns_path, O_RDONLY | O_CLOEXEC);
  if (netns < 0) fail(netns_path);
  int socket_host = open_socket(NETLINK_ROUTE);
  put_new_pair(&host, attachment, link_index(socket_host, BRIDGE), netns);
  put_alias(&host, attachment);
  transact(socket_host, &host, "veth pair");
  if (attachment->host_port != 0)
    change_elements(open_socket(NETLINK_NETFILTER), NFT_MSG_NEWSETELEM, attachment);

  if (setns(netns, CLONE_NEWNET) < 0) fail(netns_path);
  int socket_inside = open_socket(NETLINK_ROUTE);
  int index = link_index(socket_inside, "eth0");
  put_up(&inside, 1);
  put_address(&inside, index, attachment->address);
  put_up(&inside, index);
  put_default_route(&inside, index);
  transact(socket_inside, &inside, "inside the container");
}

static void del(const struct Attachment* attachment) {
  struct Batch host = {.used = 0};
  const struct ifinfomsg any = {0};
  if (attachment->host_port != 0)
    change_elements(open_socket(NETLINK_NETFILTER), NFT_MSG_DELSETELEM, attachment);
  start_message(&host, RTM_DELLINK, NLM_F_ACK, &any, sizeof any);
  put_text(&host, IFLA_IFNAME, attachment->host_link);
  transact(open_socket(NETLINK_ROUTE), &host, "veth pair");
}

static void add_device(const struct Attachment* attachment) {
  struct Batch host = {.used = 0};
  const struct ifinfomsg up = {.ifi_flags = IFF_UP, .ifi_change = IFF_UP};
  start_message(&host, RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &up, sizeof up);
  put_text(&host, IFLA_IFNAME, attachment->host_link);
  uint32_t info = open_nest(&host, IFLA_LINKINFO);
  put_text(&host, IFLA_INFO_KIND, "ifb");
  close_nest(&host, info);
  transact(open_socket(NETLINK_ROUTE), &host, "device");
}

static void feed(const char* tool, const char* script) {
  FILE* pipe = popen(tool, "w");
  if (pipe == NULL || fputs(script, pipe) < 0 || pclose(pipe) != 0) fail(tool);
}

static void setup(void) {
  feed("ip -batch -", "link add " BRIDGE
                      " address 02:42:0a:4d:00:01 type bridge\n"
                      "address add " GATEWAY "/16 dev " BRIDGE
                      "\n"
                      "link set lo up\n"
                      "link set " BRIDGE " up\n");
  feed("nft -f -",
       "table inet " TABLE
       " {\n"
       "  map " PUBLISH_MAP
       " { type inet_proto . inet_service : ipv4_addr . inet_service; }\n"
       "  map publish4_on { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }\n"
       "  set " TARGET_SET
       " { type ipv4_addr . inet_proto . inet_service; }\n"
       "  chain network { ip daddr { 10.77.0.0/16, 224.0.0.0/4 } return; masquerade; }\n"
       "  map masquerade4 { type ipv4_addr : verdict; flags interval; elements = { 10.77.0.0/16 : jump "
       "network }; }\n"
       "  chain publish {\n"
       "    dnat ip to ip daddr . meta l4proto . th dport map @publish4_on\n"
       "    dnat ip to meta l4proto . th dport map @" PUBLISH_MAP
       "\n"
       "  }\n"
       "  chain prerouting { type nat hook prerouting priority dstnat; fib daddr type local jump publish; }\n"
       "  chain output { type nat hook output priority -100; fib daddr type local jump publish; }\n"
       "  chain postrouting {\n"
       "    type nat hook postrouting priority srcnat;\n"
       "    ct status dnat ip saddr 10.77.0.0/16 ip daddr . meta l4proto . th dport @" TARGET_SET
       " masquerade\n"
       "    ip saddr vmap @masquerade4\n"
       "  }\n"
       "}\n");
}

static struct Attachment attachment_of(const char* host_port, const char* address) {
  struct Attachment attachment = {.host_port = (uint16_t)atoi(host_port), .address = inet_addr(address)};
  snprintf(attachment.host_link, sizeof attachment.host_link, "fl%08x", ntohl(attachment.address));
  return attachment;
}

int main(int argc, char** argv) {
  const char* verb = argc > 1 ? argv[1] : "";
  if (argc == 5 && strcmp(verb, "add") == 0) {
    const struct Attachment attachment = attachment_of(argv[3], argv[4]);
    add(&attachment, argv[2]);
  } else if (argc == 4 && strcmp(verb, "del") == 0) {
    const struct Attachment attachment = attachment_of(argv[2], argv[3]);
    del(&attachment);
  } else if (argc == 3 && strcmp(verb, "device") == 0) {
    const struct Attachment attachment = attachment_of("0", argv[2]);
    add_device(&attachment);
  } else if (argc == 2 && strcmp(verb, "setup") == 0) {
    setup();
  } else if (argc == 2 && strcmp(verb, "count") == 0) {
    printf("add %d\ndel %d\n", kAddMessages, kDelMessages);
  } else {
    fprintf(
        stderr,
        "usage: floor setup | add NETNS HOSTPORT ADDRESS | del HOSTPORT ADDRESS | device ADDRESS | count\n");
    return 2;
  }
  return 0;
}
