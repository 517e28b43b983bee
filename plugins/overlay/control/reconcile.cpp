#include "plugins/overlay/control/reconcile.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "base/hash.hpp"

namespace netctl::overlay {
namespace {

void add_routed(const Node& node, std::uint32_t vni, Desired& desired) {
  const MacAddress mac = vtep_mac(node.name, vni);
  desired.vteps[mac] = node.vtep;
  for (const IpPrefix& block : node.blocks) {
    const IpAddress gateway = gateway_to(block, mac);
    desired.neighbours[gateway] = mac;
    desired.routes[block] = {gateway, node.mtu_bytes};
  }
}

/// A container with both kinds of addresses has the hardware address that follows from its IPv4 one.
void add_bridged_block(const Node& node, const IpPrefix& block, std::uint32_t vni, Desired& desired) {
  const uint128 count = uint128{1} << (block.address.bits() - block.length);
  for (uint128 offset = 0; offset < count; ++offset) {
    const IpAddress address = IpAddress::from_number(block.address.family(), block.first().number() + offset);
    if (desired.neighbours.contains(address)) continue;
    const bool is_gateway = address == gateway_in(block);
    const MacAddress mac = is_gateway ? gateway_mac(node.name, vni) : container_mac(address);
    desired.vteps[mac] = node.vtep;
    desired.neighbours[address] = mac;
    if (const auto paired = paired_address(node.blocks, address)) desired.neighbours[paired->address] = mac;
  }
}

void add_bridged(const Node& node, std::uint32_t vni, Desired& desired) {
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    for (const IpPrefix& block : node.blocks) {
      if (block.address.family() == family) add_bridged_block(node, block, vni, desired);
    }
  }
}

/// Chooses ids that follow from the gateway, so that a host that starts anew makes the same ones.
class NexthopIds {
 public:
  explicit NexthopIds(const std::vector<netlink::Nexthop>& present) {
    for (const netlink::Nexthop& nexthop : present) taken_.insert(nexthop.id);
  }
  std::uint32_t choose(const IpAddress& gateway, std::uint32_t link_index) {
    constexpr std::uint32_t kRange = netlink::kLastNexthopId - netlink::kFirstNexthopId + 1;
    const std::uint64_t start = hash_parts({gateway.to_string(), std::to_string(link_index)}).high();
    for (std::uint32_t step = 0; step < kRange; ++step) {
      const auto id = static_cast<std::uint32_t>(netlink::kFirstNexthopId + (start + step) % kRange);
      if (taken_.insert(id).second) return id;
    }
    throw Error(ErrorCode::kInternal, "all ids for nexthops are taken");
  }

 private:
  std::set<std::uint32_t> taken_;
};

void compare_neighbours(const Desired& desired, const Observed& observed, Changes& changes) {
  for (const auto& [address, mac] : desired.neighbours) {
    if (!observed.neighbours.contains({address, mac})) changes.put_neighbours.push_back({address, mac});
  }
  for (const netlink::Neighbour& neighbour : observed.neighbours) {
    if (!desired.neighbours.contains(neighbour.address))
      changes.delete_neighbours.push_back(neighbour.address);
  }
}

/// A put replaces the entry of its hardware address, so that only strays have to be deleted.
void compare_vteps(const Desired& desired, const Observed& observed, Changes& changes) {
  for (const auto& [mac, vtep] : desired.vteps) {
    if (!observed.vteps.contains({mac, vtep})) changes.put_vteps.push_back({mac, vtep});
  }
  for (const netlink::VtepEntry& entry : observed.vteps) {
    if (!desired.vteps.contains(entry.mac)) changes.delete_vteps.push_back(entry);
  }
}

/// Gateway -> id of the nexthop that leads there, present ones first.
std::map<IpAddress, std::uint32_t> compare_nexthops(const Desired& desired, const Observed& observed,
                                                    std::uint32_t vxlan_index, Changes& changes) {
  std::set<IpAddress> wanted;
  for (const auto& [destination, way] : desired.routes) wanted.insert(way.gateway);
  std::map<IpAddress, std::uint32_t> ids;
  for (const netlink::Nexthop& nexthop : observed.nexthops) {
    if (nexthop.link_index != vxlan_index) continue;
    const bool useful = wanted.contains(nexthop.gateway) && ids.emplace(nexthop.gateway, nexthop.id).second;
    if (!useful) changes.delete_nexthops.push_back(nexthop.id);
  }
  NexthopIds free_ids(observed.nexthops);
  for (const IpAddress& gateway : wanted) {
    if (ids.contains(gateway)) continue;
    const std::uint32_t id = free_ids.choose(gateway, vxlan_index);
    ids.emplace(gateway, id);
    changes.put_nexthops.push_back({id, gateway, vxlan_index});
  }
  return ids;
}

void compare_routes(const Desired& desired, const Observed& observed, std::uint32_t vxlan_index,
                    const std::map<IpAddress, std::uint32_t>& ids, Changes& changes) {
  std::set<std::uint32_t> own_ids;
  for (const netlink::Nexthop& nexthop : observed.nexthops) {
    if (nexthop.link_index == vxlan_index) own_ids.insert(nexthop.id);
  }
  std::map<IpPrefix, netlink::NexthopRoute> present;
  for (const netlink::NexthopRoute& route : observed.routes) {
    if (own_ids.contains(route.nexthop_id)) present.emplace(route.destination, route);
  }
  for (const auto& [destination, way] : desired.routes) {
    const netlink::NexthopRoute wanted{destination, ids.at(way.gateway), way.mtu_bytes};
    const auto found = present.find(destination);
    if (found == present.end() || found->second != wanted) changes.put_routes.push_back(wanted);
  }
  for (const auto& [destination, route] : present) {
    if (!desired.routes.contains(destination)) changes.delete_routes.push_back(route);
  }
}

}  // namespace

Desired desired_entries(const std::vector<Node>& nodes, const std::string& self, std::uint32_t vni,
                        Mode mode) {
  Desired desired;
  for (const Node& node : nodes) {
    if (node.name == self) continue;
    if (mode == Mode::kRouted) {
      add_routed(node, vni, desired);
    } else {
      add_bridged(node, vni, desired);
    }
  }
  return desired;
}

Observed observe(netlink::Socket& socket, std::uint32_t vxlan_index) {
  Observed observed;
  for (netlink::VtepEntry& entry : netlink::list_vtep_entries(socket, vxlan_index))
    observed.vteps.insert(entry);
  for (netlink::Neighbour& neighbour : netlink::list_permanent_neighbours(socket, vxlan_index)) {
    observed.neighbours.insert(neighbour);
  }
  observed.nexthops = netlink::list_nexthops(socket);
  observed.routes = netlink::list_nexthop_routes(socket);
  return observed;
}

std::size_t Changes::size() const {
  return put_neighbours.size() + put_vteps.size() + put_nexthops.size() + put_routes.size() +
         delete_routes.size() + delete_nexthops.size() + delete_vteps.size() + delete_neighbours.size();
}

Changes reconcile(const Desired& desired, const Observed& observed, std::uint32_t vxlan_index) {
  Changes changes;
  compare_neighbours(desired, observed, changes);
  compare_vteps(desired, observed, changes);
  const std::map<IpAddress, std::uint32_t> ids = compare_nexthops(desired, observed, vxlan_index, changes);
  compare_routes(desired, observed, vxlan_index, ids, changes);
  return changes;
}

std::vector<netlink::Request> requests(const Changes& changes, std::uint32_t vxlan_index) {
  std::vector<netlink::Request> made;
  made.reserve(changes.size());
  for (const auto& neighbour : changes.put_neighbours)
    made.push_back(netlink::put_neighbour(vxlan_index, neighbour));
  for (const auto& entry : changes.put_vteps) made.push_back(netlink::put_vtep_entry(vxlan_index, entry));
  for (const auto& nexthop : changes.put_nexthops) made.push_back(netlink::put_nexthop(nexthop));
  for (const auto& route : changes.put_routes) made.push_back(netlink::put_nexthop_route(route));
  for (const auto& route : changes.delete_routes) made.push_back(netlink::delete_nexthop_route(route));
  for (const std::uint32_t id : changes.delete_nexthops) made.push_back(netlink::delete_nexthop(id));
  for (const auto& entry : changes.delete_vteps)
    made.push_back(netlink::delete_vtep_entry(vxlan_index, entry));
  for (const auto& address : changes.delete_neighbours) {
    made.push_back(netlink::delete_neighbour(vxlan_index, address));
  }
  return made;
}

std::vector<std::string> describe(const Changes& changes) {
  std::vector<std::string> lines;
  const auto say = [&lines](const std::string& what, const char* how) {
    lines.push_back(what + " is " + how);
  };
  for (const auto& it : changes.put_neighbours)
    say("the neighbour " + it.address.to_string(), "missing or wrong");
  for (const auto& it : changes.put_vteps)
    say("the forwarding entry of " + it.mac.to_string() + " to " + it.vtep.to_string(), "missing or wrong");
  for (const auto& it : changes.put_nexthops) say("the nexthop " + it.gateway.to_string(), "missing");
  for (const auto& it : changes.put_routes)
    say("the route to " + it.destination.to_string(), "missing or wrong");
  for (const auto& it : changes.delete_routes) say("the route to " + it.destination.to_string(), "stale");
  for (const std::uint32_t id : changes.delete_nexthops)
    say("the nexthop with id " + std::to_string(id), "stale");
  for (const auto& it : changes.delete_vteps)
    say("the forwarding entry of " + it.mac.to_string() + " to " + it.vtep.to_string(), "stale");
  for (const auto& it : changes.delete_neighbours) say("the neighbour " + it.to_string(), "stale");
  return lines;
}

std::size_t synchronise(netlink::Socket& socket, const Desired& desired, std::uint32_t vxlan_index) {
  const Changes changes = reconcile(desired, observe(socket, vxlan_index), vxlan_index);
  if (!changes.empty()) socket.transact_many(requests(changes, vxlan_index));
  return changes.size();
}

}  // namespace netctl::overlay
