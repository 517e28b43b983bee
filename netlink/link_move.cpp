#include "netlink/link_move.hpp"

#include <linux/if_link.h>
#include <linux/rtnetlink.h>

namespace netctl::netlink {
namespace {

constexpr Attr<IFLA_IFNAME, std::string_view> kName{};
constexpr Attr<IFLA_NET_NS_FD, std::uint32_t> kNetnsFd{};

Request rename(std::uint32_t index, const std::string& name, const std::string& doing) {
  Request request(RTM_SETLINK, 0, doing + " link " + std::to_string(index) + " as " + name);
  request.header<ifinfomsg>().ifi_index = static_cast<int>(index);
  request.put(kName, name);
  return request;
}

}  // namespace

Request move_link(std::uint32_t index, int netns_fd, const std::string& name) {
  Request request = rename(index, name, "move into the other namespace");
  request.put(kNetnsFd, static_cast<std::uint32_t>(netns_fd));
  return request;
}

Request rename_link(std::uint32_t index, const std::string& name) { return rename(index, name, "rename"); }

}  // namespace netctl::netlink
