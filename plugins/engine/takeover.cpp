#include "plugins/engine/takeover.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "base/sha512.hpp"
#include "netlink/address.hpp"
#include "netlink/link.hpp"
#include "plugins/cni/config_reader.hpp"
#include "plugins/engine/flows.hpp"
#include "plugins/engine/identity.hpp"
#include "plugins/engine/log.hpp"

namespace netctl::engine {
namespace {

ipam::AttachmentKey key_of(const cni::Invocation& invocation) {
  return {invocation.network, invocation.container_id, invocation.ifname};
}

/// Nothing of the configuration is judged here: whatever else is wrong with it, the DEL does its work.
std::string data_directory(const cni::Invocation& invocation) {
  std::string directory;
  try {
    const auto ipam = cni::ConfigReader(invocation.config, "").object("ipam");
    if (ipam) directory = ipam->text("dataDir").value_or("");
  } catch (const Error& error) {
    log_info(error.message());
  }
  return directory.empty() ? ReferenceLeases::kDefaultDirectory : directory;
}

ReferenceIdentity identity_of(const ipam::AttachmentKey& key, const ReferenceLeases& folder,
                              const std::vector<ReferenceLease>& leases) {
  ReferenceIdentity identity{key, {}, true};
  for (const ReferenceLease& lease : leases) identity.addresses.push_back(lease.address);
  for (const ReferenceLease& other : folder.list()) {
    const bool same_container = other.container_id == key.container_id;
    if (same_container && !other.ifname.empty() && other.ifname != key.ifname)
      identity.last_of_container = false;
  }
  return identity;
}

void remove_rules(Host& host, const ReferenceIdentity& identity, TakeOver what) {
  constexpr int kAttempts = 8;
  iptables::ForeignTables tables(host.netfilter());
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const ReferenceRules found = find_reference_rules(tables, identity, what);
    if (tables.remove(found.rules, found.chains)) return;
  }
  throw Error(
      ErrorCode::kTryAgainLater,
      "rules that the reference plugins left could not be removed, because other programs change those "
      "tables all the time; try again");
}

bool has_address(netlink::Socket& socket, const netlink::Link& link,
                 const std::vector<IpAddress>& addresses) {
  const std::vector<IpPrefix> present = netlink::list_addresses(socket, link.index);
  return std::any_of(present.begin(), present.end(), [&addresses](const IpPrefix& each) {
    return std::find(addresses.begin(), addresses.end(), each.address) != addresses.end();
  });
}

/// The container's end, when its namespace is still there; deleting it deletes the host's end.
void remove_container_end(const cni::Invocation& invocation, const std::vector<IpAddress>& addresses) {
  if (invocation.netns.empty()) return;
  try {
    Container container = Container::enter(invocation.netns, invocation.netns_override);
    const auto link = netlink::find_link(container.route, invocation.ifname);
    if (link && link->kind == "veth" && has_address(container.route, *link, addresses))
      container.route.transact(netlink::delete_link(link->index));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInvalidNetns) throw;  // gone, and the link with it
  }
}

/// Without a namespace: the host's end that prevResult names, if it is still the one with that hardware address.
void remove_host_end(Host& host, const cni::Invocation& invocation) {
  if (!invocation.prev_result) return;
  for (const cni::Interface& interface : invocation.prev_result->interfaces) {
    if (!interface.sandbox.empty() || interface.mac.empty()) continue;
    const auto link = netlink::find_link(host.route(), interface.name);
    const auto mac = MacAddress::parse(interface.mac);
    if (link && link->kind == "veth" && link->alias.empty() && mac && link->mac == mac)
      host.route().transact(netlink::delete_link(link->index));
  }
}

/// The device that shapes what the container sends: its name has no interface in it.
void remove_shaper(Host& host, const ReferenceIdentity& identity) {
  constexpr std::size_t kLongestName = 15;
  const std::string prefix = "bwp";
  const std::string name =
      prefix + sha512_hex(identity.key.network + identity.key.container_id, kLongestName - prefix.size());
  const auto link = netlink::find_link(host.route(), name);
  if (link && link->kind == "ifb" && identity.last_of_container)
    host.route().transact(netlink::delete_link(link->index));
}

/// `invocation` is that of a DEL, or nullptr: then links are left to whoever removes the namespace.
void release(Host& host, const ReferenceLeases& folder, const ipam::AttachmentKey& key, TakeOver what,
             const cni::Invocation* invocation) {
  const HeldLock lock = host.live().lock_attachment(key);
  const std::vector<ReferenceLease> leases = folder.list(key.container_id, key.ifname);
  bool recorded = false;
  host.live().read(
      [&](const ipam::Transaction& store) { recorded = store.find_attachment(key).has_value(); });
  if (recorded || leases.empty()) return;
  const ReferenceIdentity identity = identity_of(key, folder, leases);
  if (what != TakeOver::kLease) remove_rules(host, identity, what);
  if (what == TakeOver::kEverything) {
    if (invocation != nullptr) {
      remove_container_end(*invocation, identity.addresses);
      remove_host_end(host, *invocation);
    }
    remove_shaper(host, identity);
  }
  if (what != TakeOver::kLease) {
    for (const IpAddress& address : identity.addresses) forget_flows_of(host, address);
  }
  if (what != TakeOver::kPorts) folder.remove(leases);
  log_info("network=" + key.network + " container=" + key.container_id + " if=" + key.ifname +
           " taken over from the reference plugins and detached");
}

/// The configuration of portmap does not say where the leases are, and another plugin's IPAM keeps none here: the result
/// tells which addresses its rules are about.
void release_ports_of_result(Host& host, const cni::Invocation& invocation) {
  ReferenceIdentity identity{key_of(invocation), {}, true};
  for (const cni::ResultIp& ip : invocation.prev_result->ips)
    identity.addresses.push_back(ip.address.address);
  if (identity.addresses.empty()) return;
  const HeldLock lock = host.live().lock_attachment(identity.key);
  bool recorded = false;
  host.live().read(
      [&](const ipam::Transaction& store) { recorded = store.find_attachment(identity.key).has_value(); });
  if (recorded) return;
  remove_rules(host, identity, TakeOver::kPorts);
  for (const IpAddress& address : identity.addresses) forget_flows_of(host, address);
}

/// Old files name the container alone.
bool is_valid(const cni::Invocation& invocation, const ReferenceLease& lease) {
  const auto& valid = *invocation.valid_attachments;
  return std::any_of(valid.begin(), valid.end(), [&lease](const cni::ValidAttachment& attachment) {
    return attachment.container_id == lease.container_id &&
           (lease.ifname.empty() || attachment.ifname == lease.ifname);
  });
}

}  // namespace

void take_over_del(Host& host, const cni::Invocation& invocation, TakeOver what) {
  const auto folder = ReferenceLeases::open(data_directory(invocation), invocation.network);
  if (folder) release(host, *folder, key_of(invocation), what, &invocation);
  if (what == TakeOver::kPorts && invocation.prev_result) release_ports_of_result(host, invocation);
}

void take_over_gc(Host& host, const cni::Invocation& invocation, TakeOver what) {
  if (!invocation.valid_attachments) return;
  const auto folder = ReferenceLeases::open(data_directory(invocation), invocation.network);
  if (!folder) return;
  std::string problems;
  for (const ReferenceLease& lease : folder->list()) {
    if (lease.container_id.empty() || is_valid(invocation, lease)) continue;
    try {
      release(host, *folder, {invocation.network, lease.container_id, lease.ifname}, what, nullptr);
    } catch (const Error& error) {
      problems += (problems.empty() ? "" : "; ") + error.message();
    }
  }
  if (!problems.empty())
    throw Error(ErrorCode::kKernel, "not everything could be collected: " + problems, problems);
}

void check_or_explain(const cni::Invocation& invocation, const std::function<void()>& check) {
  try {
    check();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kUnknownContainer) throw;
    const auto folder = ReferenceLeases::open(data_directory(invocation), invocation.network);
    const auto leases =
        folder ? folder->list(invocation.container_id, invocation.ifname) : std::vector<ReferenceLease>{};
    if (leases.empty()) throw;
    throw Error(ErrorCode::kDrift,
                describe(key_of(invocation)) + " was attached to network " + invocation.network +
                    " by other CNI plugins, so there is no record to compare it with; it keeps working, DEL "
                    "removes it, and ADD makes a new one",
                describe(*folder, leases.front()));
  }
}

}  // namespace netctl::engine
