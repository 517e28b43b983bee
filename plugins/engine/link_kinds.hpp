#pragma once
// The kinds of links that a container can get. Each is one file in links/; what they share (addresses, routes, policy,
// record) is attach.cpp's.

#include <string>
#include <vector>

#include "netlink/link.hpp"
#include "plugins/engine/host.hpp"
#include "plugins/engine/network.hpp"
#include "plugins/engine/plan.hpp"

namespace netctl::engine {

/// Looks up what the plan has to know of the kernel: the master of a macvlan, the device that moves. `container` is nullptr
/// for --plan, which has none. Changes nothing. Errors: kInvalidConfig naming the key.
void resolve_link(Host& host, Container* container, AttachmentRequest& request);

/// Writes into a record that is `adding` what undoing the link needs, before anything is made.
void record_link(const AttachmentRequest& request, ipam::AttachmentRecord& record);

/// Makes the container's interface under its final name, still down, with its host end (flags, guards, addresses, routes)
/// ready. Errors: kInterfaceTaken; kTryAgainLater; kKernel.
void make_link(Host& host, Container& container, const Plan& plan, const SharedNetwork& network);

/// The host's interfaces in front of the container's own, as the reference reports them.
[[nodiscard]] std::vector<cni::Interface> host_interfaces(const Plan& plan, const SharedNetwork& network);

/// The name in the table's sets of links that stands for this attachment alone; empty when its packets pass the network's
/// bridge, or no rule of ours.
[[nodiscard]] std::string policy_link(const ipam::AttachmentRecord& record);
void set_policy_link(ipam::AttachmentRecord& record, const std::string& link);
/// The network's policy as this attachment wants it at its own link, if it has one there.
[[nodiscard]] iptables::NetworkPolicy policy_at_link(iptables::NetworkPolicy network,
                                                     const ipam::AttachmentRecord& record);

/// Errors: kInterfaceTaken.
void throw_if_taken(Container& container, const LinkPlan& link);
/// Errors: kTryAgainLater when it has just gone.
[[nodiscard]] std::uint32_t must_find(const netlink::Socket& socket, const std::string& ifname);

/// nullopt when there is no network namespace at the path.
[[nodiscard]] std::optional<Container> enter_if_there(const std::string& netns_path);
/// A socket in the namespace that the record names, if that is still the same one; nullopt when it is gone.
[[nodiscard]] std::optional<Container> reenter(const ipam::AttachmentRecord& record);

// One kind each (links/*.cpp); `make` is make_link() for that shape.
namespace links {

void make(Host& host, Container& container, const Plan& plan, const BridgePortPlan& shape,
          const SharedNetwork& network);
void make(Host& host, Container& container, const Plan& plan, const PointToPointPlan& shape,
          const SharedNetwork& network);
void make(Host& host, Container& container, const Plan& plan, const MacvlanPlan& shape,
          const SharedNetwork& network);
void make(Host& host, Container& container, const Plan& plan, const DevicePlan& shape,
          const SharedNetwork& network);

void resolve(Host& host, Container* container, AttachmentRequest& request, Macvlan& spec);
void resolve(Host& host, Container* container, AttachmentRequest& request, HostDevice& spec);

/// What the part's state says of the link; null when the record itself says all.
[[nodiscard]] nlohmann::json state_of(const Macvlan& spec);
[[nodiscard]] nlohmann::json state_of(const HostDevice& spec);

// For parts/registry.cpp.
void undo_macvlan(Host& host, const ipam::AttachmentRecord& record, const nlohmann::json& state);
std::vector<std::string> macvlan_drift(Host& host, const ipam::AttachmentRecord& record,
                                       const nlohmann::json& state);
void undo_device(Host& host, const ipam::AttachmentRecord& record, const nlohmann::json& state);
std::vector<std::string> point_to_point_drift(Host& host, const ipam::AttachmentRecord& record,
                                              const nlohmann::json& state);

/// What puts a bridge port into its VLANs and out of all others; empty when none are asked for.
[[nodiscard]] std::vector<netlink::Request> vlan_requests(Host& host, std::uint32_t index,
                                                          const VlanSpec& vlan);
[[nodiscard]] nlohmann::json to_json(const VlanSpec& vlan);
[[nodiscard]] VlanSpec vlan_from_json(const nlohmann::json& json);
[[nodiscard]] std::vector<std::string> vlan_drift(Host& host, std::uint32_t index, const std::string& name,
                                                  const VlanSpec& vlan);

/// One veth pair: the peer in the container, the host end up, a port of `master_index` unless that is 0. What a crash of
/// the same attachment left under the name gives way.
void make_veth(Host& host, Container& container, const Plan& plan, std::uint32_t master_index);

/// The device that moved into this container is in the host's namespace again, under whatever name.
[[nodiscard]] bool has_come_back(Host& host, const ipam::AttachmentRecord& record,
                                 const nlohmann::json& state);
/// Of a link that carries a moved device's alias: the name that it had. Empty for any other alias.
[[nodiscard]] std::string original_name(const std::string& alias);
/// Gives a moved device that is back without a record its name again, and takes our alias off.
void give_back(Host& host, const netlink::Link& device);
/// A device in the container that carries this attachment's alias, when there is no record: out, and give_back().
void bring_home(Host& host, Container& container, const ipam::AttachmentKey& key, const netlink::Link& link);

/// Takes the container's interface away when its alias says that it is this attachment's: for a store that was lost.
void undo_unrecorded(Host& host, Container& container, const ipam::AttachmentKey& key);

}  // namespace links
}  // namespace netctl::engine
