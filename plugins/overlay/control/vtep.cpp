#include "plugins/overlay/control/vtep.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "netlink/address.hpp"
#include "netlink/sysctl.hpp"

namespace netctl::overlay {
namespace {

using namespace std::chrono_literals;

// After a namespace ended, the kernel frees its VNIs in the background.
constexpr int kAttempts = 50;
constexpr auto kPause = 20ms;

netlink::VxlanSpec device_spec(const Lease& lease, const Underlay& underlay, std::uint32_t bridge_index) {
  netlink::VxlanSpec device;
  device.name = vtep_ifname(lease.network);
  device.mac = vtep_mac(lease.node, lease.vni);
  device.vni = lease.vni;
  device.port = lease.port;
  device.local = lease.vtep;
  device.underlay_index = underlay.index;
  device.mtu_bytes = lease.mtu_bytes;
  if (lease.mode == Mode::kL2) {
    device.master_index = bridge_index;
    device.proxy = true;
  }
  return device;
}

/// What cannot be changed on a device that exists, or was changed by hand.
std::vector<std::string> differences(const netlink::Vxlan& present, const netlink::VxlanSpec& wanted) {
  std::vector<std::string> lines;
  const auto compare = [&](bool equal, const char* what) {
    if (!equal) lines.push_back(std::string(what) + " of " + wanted.name + " is not as it was made");
  };
  compare(present.vni == wanted.vni, "the VNI");
  compare(present.port == wanted.port, "the UDP port");
  compare(present.local == wanted.local, "the local address");
  compare(present.underlay_index == wanted.underlay_index, "the underlay link");
  compare(present.link.mac == wanted.mac, "the hardware address");
  compare(present.link.mtu_bytes == wanted.mtu_bytes, "the MTU");
  compare(present.link.master_index == wanted.master_index, "the bridge");
  compare(!present.learning, "learning");
  compare(present.proxy == wanted.proxy, "the ARP proxy");
  return lines;
}

std::string vni_on_port(const netlink::VxlanSpec& wanted) {
  return "VNI " + std::to_string(wanted.vni) + " on UDP port " + std::to_string(wanted.port);
}

void throw_if_taken(netlink::Socket& socket, const netlink::VxlanSpec& wanted) {
  if (const auto holder = netlink::find_vxlan(socket, wanted.vni, wanted.port)) {
    throw Error(ErrorCode::kInvalidConfig,
                vni_on_port(wanted) + " is in use by the device " + holder->link.name +
                    "; choose another vni or port for this overlay on all its nodes, or remove that device",
                holder->link.alias);
  }
  if (netlink::find_link(socket, wanted.name)) {
    throw Error(
        ErrorCode::kInvalidConfig,
        "the name " + wanted.name + " of the VXLAN device is taken by another one; remove that device");
  }
}

std::uint32_t create(netlink::Socket& socket, const netlink::VxlanSpec& wanted) {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    try {
      socket.transact(netlink::create_vxlan(wanted));
    } catch (const Error& error) {
      if (error.sys_errno() != EEXIST) throw;
      throw_if_taken(socket, wanted);
      std::this_thread::sleep_for(kPause);
      continue;
    }
    if (const auto made = netlink::find_vxlan(socket, wanted.name)) return made->link.index;
  }
  throw Error(ErrorCode::kTryAgainLater,
              vni_on_port(wanted) + " is still held by a network namespace that is being removed; try again");
}

void bring_up(netlink::Socket& socket, const Lease& lease, const std::vector<netlink::Request>& batch) {
  try {
    socket.transact_all(batch);
  } catch (const Error& error) {
    if (error.sys_errno() != EADDRINUSE) throw;
    throw Error(
        ErrorCode::kInvalidConfig,
        "UDP port " + std::to_string(lease.port) +
            " is used by another program of this host (`ss -ulnp`), or by a VXLAN device of another kind; "
            "choose another port for this overlay on all its nodes",
        error.details(), EADDRINUSE);
  }
}

/// Sysctls first: a device that comes up must not wait for duplicate detection nor listen to router advertisements.
void configure(netlink::Socket& socket, const Lease& lease, std::uint32_t index) {
  const std::string conf6 = "ipv6/conf/" + vtep_ifname(lease.network) + "/";
  netlink::write_sysctls({{conf6 + "accept_ra", "0"}, {conf6 + "accept_dad", "0"}});
  std::vector<netlink::Request> batch;
  if (lease.mode == Mode::kRouted) {
    // The host's own address in the overlay: what it sends to containers of other nodes has to find its way back.
    for (const IpPrefix& own : vtep_addresses(lease)) {
      batch.push_back(netlink::add_address(index, own, netlink::DuplicateDetection::kOff));
    }
  }
  batch.push_back(netlink::set_up(index));
  bring_up(socket, lease, batch);
}

/// Of a node that gave a block back.
void remove_other_addresses(netlink::Socket& socket, const Lease& lease, std::uint32_t index) {
  const std::vector<IpPrefix> own = vtep_addresses(lease);
  for (const IpPrefix& present : netlink::list_addresses(socket, index)) {
    const bool host_address = present.length == present.address.bits();
    if (host_address && std::find(own.begin(), own.end(), present) == own.end()) {
      socket.transact(netlink::delete_address(index, present));
    }
  }
}

Desired entries_of(const Membership& membership) {
  return desired_entries(membership.nodes, membership.lease.node, membership.lease.vni,
                         membership.lease.mode);
}

bool is_link_local(const IpAddress& address) {
  return !address.is_v4() && IpPrefix::parse("fe80::/10")->contains(address);
}

/// A crash between making and naming it leaves it without an alias; the name is a hash that nobody else uses.
bool is_ours(const netlink::Vxlan& device, const std::string& network) {
  return device.link.alias == vtep_alias(network) || device.link.alias.empty();
}

}  // namespace

std::string vtep_ifname(const std::string& network) {
  return "nv" + hash_parts({"vtep-ifname", network}).hex(13);
}

std::string vtep_alias(const std::string& network) {
  constexpr std::size_t kAliasLimit = 255;
  return ("netctl:1:" + network).substr(0, kAliasLimit - 6) + ":vtep:";
}

std::vector<IpPrefix> vtep_addresses(const Lease& lease) {
  std::vector<IpPrefix> addresses;
  if (lease.mode != Mode::kRouted) return addresses;
  for (const IpPrefix& block : lease.blocks) {
    addresses.push_back({block.first(), static_cast<std::uint8_t>(block.address.bits())});
  }
  return addresses;
}

Underlay find_underlay(netlink::Socket& socket, const IpAddress& vtep) {
  for (const netlink::Link& link : netlink::list_links(socket)) {
    for (const IpPrefix& address : netlink::list_addresses(socket, link.index)) {
      if (address.address == vtep) return {link.index, link.name, link.mtu_bytes};
    }
  }
  throw Error(ErrorCode::kInvalidConfig, "no interface of this host has the VTEP address " +
                                             vtep.to_string() +
                                             "; give the address that this node has in the underlay");
}

IpAddress address_of_interface(netlink::Socket& socket, const std::string& ifname) {
  const auto link = netlink::find_link(socket, ifname);
  if (!link) {
    throw Error(ErrorCode::kInvalidConfig,
                "vtep: there is no interface " + ifname + " on this host; name another one, or an address");
  }
  std::vector<IpAddress> candidates;
  for (const IpPrefix& each : netlink::list_addresses(socket, link->index)) {
    if (!is_link_local(each.address)) candidates.push_back(each.address);
  }
  const bool has_v4 =
      std::any_of(candidates.begin(), candidates.end(), [](const auto& a) { return a.is_v4(); });
  std::erase_if(candidates, [has_v4](const IpAddress& each) { return each.is_v4() != has_v4; });
  if (candidates.size() == 1) return candidates.front();
  std::string names;
  for (const IpAddress& each : candidates) names += (names.empty() ? "" : ", ") + each.to_string();
  const std::string which = candidates.empty() ? "no address" : "several addresses (" + names + ")";
  throw Error(ErrorCode::kInvalidConfig, "vtep: the interface " + ifname + " has " + which +
                                             "; name the address that the other nodes know");
}

std::uint32_t ensure_vtep(netlink::Socket& socket, const Membership& membership, std::uint32_t bridge_index) {
  const Lease& lease = membership.lease;
  const netlink::VxlanSpec wanted = device_spec(lease, find_underlay(socket, lease.vtep), bridge_index);
  auto present = netlink::find_vxlan(socket, wanted.name);
  if (present && !differences(*present, wanted).empty()) {
    remove_vtep(socket, lease.network);
    present.reset();
  }
  const std::uint32_t index = present ? present->link.index : create(socket, wanted);
  try {
    if (!present || present->link.alias != vtep_alias(lease.network)) {
      socket.transact(netlink::set_alias(index, vtep_alias(lease.network)));
    }
    configure(socket, lease, index);
    if (present) remove_other_addresses(socket, lease, index);
    synchronise(socket, entries_of(membership), index);
  } catch (const Error&) {
    if (!present) socket.transact(netlink::delete_link(index));  // nothing half-programmed
    throw;
  }
  return index;
}

void remove_vtep(netlink::Socket& socket, const std::string& network) {
  const auto present = netlink::find_vxlan(socket, vtep_ifname(network));
  if (present && is_ours(*present, network)) socket.transact(netlink::delete_link(present->link.index));
}

std::vector<std::string> find_vtep_drift(netlink::Socket& socket, const Membership& membership,
                                         std::uint32_t bridge_index) {
  const Lease& lease = membership.lease;
  const auto present = netlink::find_vxlan(socket, vtep_ifname(lease.network));
  if (!present) return {"the VXLAN device " + vtep_ifname(lease.network) + " is gone"};
  const std::uint32_t index = present->link.index;
  std::vector<std::string> lines;
  try {
    const Underlay underlay = find_underlay(socket, lease.vtep);
    lines = differences(*present, device_spec(lease, underlay, bridge_index));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInvalidConfig) throw;
    lines.push_back(error.message());
  }
  if (!present->link.up) lines.push_back("the VXLAN device " + present->link.name + " is down");
  const std::vector<IpPrefix> addresses = netlink::list_addresses(socket, index);
  for (const IpPrefix& own : vtep_addresses(lease)) {
    if (std::find(addresses.begin(), addresses.end(), own) != addresses.end()) continue;
    lines.push_back("address " + own.to_string() + " is missing on " + present->link.name);
  }
  for (std::string& line : describe(reconcile(entries_of(membership), observe(socket, index), index))) {
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace netctl::overlay
