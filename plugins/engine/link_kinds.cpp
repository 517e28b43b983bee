#include "plugins/engine/link_kinds.hpp"

#include "base/error.hpp"
#include "netlink/link.hpp"
#include "plugins/engine/identity.hpp"
#include "plugins/engine/part.hpp"
#include "plugins/engine/vlan_gateway.hpp"

namespace netctl::engine {
namespace {

constexpr const char* kPolicyLink = "policyLink";

template <class... Functions>
struct Overloaded : Functions... {
  using Functions::operator()...;
};
template <class... Functions>
Overloaded(Functions...) -> Overloaded<Functions...>;

cni::Interface host_end_of(const LinkPlan& link) {
  cni::Interface end;
  end.name = link.host_ifname;
  end.mac = link.host_mac.to_string();
  return end;
}

}  // namespace

void resolve_link(Host& host, Container* container, AttachmentRequest& request) {
  std::visit(
      Overloaded{[&](BridgePort& port) { require_vlan_filtering(host, port.vlan); }, [](PointToPoint&) {},
                 [&](auto& spec) { links::resolve(host, container, request, spec); }},
      request.link);
}

void record_link(const AttachmentRequest& request, ipam::AttachmentRecord& record) {
  const auto set_state = [&](nlohmann::json state) {
    set_part_state(record, request.driver, std::move(state));
  };
  std::visit(Overloaded{[&](const BridgePort&) {
                          record.bridge = request.network.bridge;
                          record.host_ifname = host_ifname(request.key);
                        },
                        [&](const PointToPoint&) {
                          record.host_ifname = host_ifname(request.key);
                          set_policy_link(record, record.host_ifname);
                          set_state({{"routed", true}});
                        },
                        [&](const Macvlan& spec) {
                          nlohmann::json state = links::state_of(spec);
                          state["mac"] = macvlan_mac(request).to_string();
                          set_state(std::move(state));
                        },
                        [&](const HostDevice& spec) { set_state(links::state_of(spec)); }},
             request.link);
}

void make_link(Host& host, Container& container, const Plan& plan, const SharedNetwork& network) {
  std::visit([&](const auto& shape) { links::make(host, container, plan, shape, network); },
             plan.link->shape);
}

std::vector<cni::Interface> host_interfaces(const Plan& plan, const SharedNetwork& network) {
  std::vector<cni::Interface> interfaces;
  if (!plan.network.bridge.empty()) {
    cni::Interface bridge;
    bridge.name = plan.network.bridge;
    bridge.mac = network.bridge_mac;
    interfaces.push_back(bridge);
  }
  if (!plan.link->host_ifname.empty()) interfaces.push_back(host_end_of(*plan.link));
  return interfaces;
}

std::string policy_link(const ipam::AttachmentRecord& record) {
  return record.extra.value(kPolicyLink, std::string());
}

void set_policy_link(ipam::AttachmentRecord& record, const std::string& link) {
  record.extra[kPolicyLink] = link;
}

iptables::NetworkPolicy policy_at_link(iptables::NetworkPolicy network,
                                       const ipam::AttachmentRecord& record) {
  const std::string link = policy_link(record);
  if (link.empty()) return network;
  network.link = link;
  network.publishes = !record.ports.empty();
  return network;
}

void throw_if_taken(Container& container, const LinkPlan& link) {
  if (netlink::find_link(container.route, link.container_ifname)) {
    throw Error(ErrorCode::kInterfaceTaken,
                "the container has an interface named " + link.container_ifname +
                    " already; choose another CNI_IFNAME, or detach that one first");
  }
}

std::uint32_t must_find(const netlink::Socket& socket, const std::string& ifname) {
  if (const auto index = socket.find_link_index(ifname)) return *index;
  throw Error(ErrorCode::kTryAgainLater,
              "interface " + ifname + " vanished as it was being set up; try again");
}

std::optional<Container> enter_if_there(const std::string& netns_path) {
  try {
    return Container::enter(netns_path, true);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInvalidNetns) throw;
  }
  return std::nullopt;
}

std::optional<Container> reenter(const ipam::AttachmentRecord& record) {
  std::optional<Container> container = enter_if_there(record.netns_path);
  if (container && container->cookie != record.netns_cookie) container.reset();
  return container;
}

void links::undo_unrecorded(Host& host, Container& container, const ipam::AttachmentKey& key) {
  const auto link = netlink::find_link(container.route, key.ifname);
  if (!link || digest_in_alias(link->alias) != key_digest(key)) return;
  if (!original_name(link->alias).empty()) {
    bring_home(host, container, key, *link);
  } else if (link->kind == "macvlan") {
    container.route.transact(netlink::delete_link(link->index));
  }
}

}  // namespace netctl::engine
