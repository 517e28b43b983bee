#pragma once
// Level-triggered: what should be there is compared with what is there, and the difference is sent. Both sides and the
// difference are plain values; only observe() and apply() ask the kernel. Events are never replayed, so that nothing that
// was missed, done twice or changed by hand can last.

#include <map>
#include <optional>
#include <set>
#include <vector>

#include "netlink/neighbour.hpp"
#include "netlink/nexthop.hpp"
#include "netlink/socket.hpp"
#include "plugins/overlay/control/peers.hpp"

namespace netctl::overlay {

/// How a block of another node is reached.
struct Way {
  IpAddress gateway;
  std::optional<std::uint32_t> mtu_bytes;

  auto operator<=>(const Way&) const = default;
};

/// What one VTEP should hold.
struct Desired {
  std::map<MacAddress, IpAddress> vteps;  ///< hardware address -> VTEP behind which it is
  std::map<IpAddress, MacAddress> neighbours;
  std::map<IpPrefix, Way> routes;

  bool operator==(const Desired&) const = default;
};

/// All nodes but `self`, whose own entries would lead in a circle. An empty name excludes nobody.
[[nodiscard]] Desired desired_entries(const std::vector<Node>& nodes, const std::string& self,
                                      std::uint32_t vni, Mode mode);

/// What the kernel holds for one VTEP: permanent entries, and routes and nexthops of ours.
struct Observed {
  std::set<netlink::VtepEntry> vteps;
  std::set<netlink::Neighbour> neighbours;
  std::vector<netlink::Nexthop> nexthops;  ///< of every link: ids are one space
  std::vector<netlink::NexthopRoute> routes;
};

/// Dumps, in the namespace of `socket` (kRoute). Errors: kKernel.
[[nodiscard]] Observed observe(netlink::Socket& socket, std::uint32_t vxlan_index);

struct Changes {
  std::vector<netlink::Neighbour> put_neighbours;
  std::vector<netlink::VtepEntry> put_vteps;
  std::vector<netlink::Nexthop> put_nexthops;
  std::vector<netlink::NexthopRoute> put_routes;
  std::vector<netlink::NexthopRoute> delete_routes;
  std::vector<std::uint32_t> delete_nexthops;
  std::vector<netlink::VtepEntry> delete_vteps;
  std::vector<IpAddress> delete_neighbours;

  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] bool empty() const { return size() == 0; }
};

/// The difference, as few changes as there can be: equal sides give none. A nexthop that leads to a wanted gateway keeps its
/// id. Routes and nexthops on other links are not looked at, but their ids are taken.
[[nodiscard]] Changes reconcile(const Desired& desired, const Observed& observed, std::uint32_t vxlan_index);

/// In the order in which no packet meets a route whose way is not complete: neighbours, forwarding entries, nexthops,
/// routes; then deletions the other way round.
[[nodiscard]] std::vector<netlink::Request> requests(const Changes& changes, std::uint32_t vxlan_index);

/// One sentence a difference, for `check`: "the route to 10.1.2.0/24 is missing".
[[nodiscard]] std::vector<std::string> describe(const Changes& changes);

/// observe, reconcile, send. Returns how many changes there were. The device has to be up. Idempotent. Errors: kKernel,
/// after everything that could be done was done.
std::size_t synchronise(netlink::Socket& socket, const Desired& desired, std::uint32_t vxlan_index);

}  // namespace netctl::overlay
