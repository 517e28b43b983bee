#include "plugins/engine/network_setup.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "iptables/policy_table.hpp"
#include "netlink/address.hpp"
#include "netlink/link.hpp"
#include "netlink/neighbour.hpp"
#include "netlink/sysctl.hpp"
#include "plugins/engine/flows.hpp"
#include "plugins/engine/identity.hpp"
#include "plugins/engine/ingress.hpp"
#include "plugins/engine/link_kinds.hpp"
#include "plugins/engine/log.hpp"
#include "plugins/engine/network_record_internal.hpp"
#include "plugins/engine/overlay_network.hpp"
#include "plugins/engine/vlan_gateway.hpp"

namespace netctl::engine {
namespace {

std::vector<std::string> texts(const std::vector<IpPrefix>& prefixes) {
  std::vector<std::string> list;
  for (const IpPrefix& prefix : prefixes) list.push_back(prefix.to_string());
  return list;
}

std::vector<std::string> texts(const std::vector<Sysctl>& sysctls) {
  std::vector<std::string> list;
  for (const auto& [path, value] : sysctls) list.push_back(path + "=" + value);
  return list;
}

ipam::NetworkRecord merged_record(const ipam::Transaction& store, const NetworkPlan& plan) {
  ipam::NetworkRecord record = store.find_network(plan.name).value_or(ipam::NetworkRecord{});
  const iptables::NetworkPolicy policy = merge_policy(record, plan);
  record.name = plan.name;
  if (record.driver.empty() || plan.is_main) {
    record.driver = plan.driver;
    record.extra[kLocalhostPublish] = plan.localhost_publish;
  }
  record.bridge = plan.bridge;
  if (plan.is_main) {
    record.extra[kFiltersVlans] = plan.filters_vlans;
    record.extra[kKeepsDefaultVlan] = plan.keeps_default_vlan;
    record.extra[kGatewayLink] = plan.gateway_link;
  }
  record.policy = to_json(policy);
  add_missing(record.pools, plan.pools);
  add_missing(record.subnets, texts(plan.subnets));
  std::vector<std::string> gateways = recorded_gateways(record);
  add_missing(gateways, texts(plan.gateways));
  record.extra[kGateways] = gateways;
  std::vector<std::string> sysctls = recorded_sysctls(record);
  add_missing(sysctls, texts(plan.host_sysctls));
  record.extra[kSysctls] = sysctls;
  record.extra.erase(kLeaving);
  record.extra[kBridgeIndex] = 0;  // not usable before everything below is done
  record.extra[kSettled] = false;
  if (plan.overlay) note_overlay(record, *plan.overlay);
  return record;
}

/// Networks that go hand their bridge and the host's switches over to this record, not waiting for this network's lock: what
/// they put into the store meanwhile must not be lost.
void save(Host& host, ipam::NetworkRecord& record) {
  host.live().write([&record](ipam::Transaction& store) {
    if (const auto latest = store.find_network(record.name)) {
      record.bridge_created = record.bridge_created || latest->bridge_created;
      record.sysctls_before.insert(latest->sysctls_before.begin(), latest->sysctls_before.end());
    }
    store.put_network(record);
  });
}

/// Host ends that survived their bridge: enslave them again, with the port flags they had.
void enslave_survivors(Host& host, const std::string& network, const netlink::Link& bridge) {
  std::vector<ipam::AttachmentRecord> attachments;
  host.live().read([&](const ipam::Transaction& store) { attachments = store.list_attachments(network); });
  for (const ipam::AttachmentRecord& attachment : attachments) {
    if (attachment.host_ifname.empty() || attachment.bridge != bridge.name) continue;
    const auto link = netlink::find_link(host.route(), attachment.host_ifname);
    if (!link || link->master_index != 0) continue;
    const nlohmann::json port = attachment.extra.value("port", nlohmann::json::object());
    netlink::BridgePortSpec spec;
    spec.index = link->index;
    spec.alias = link->alias;
    spec.hairpin = port.value("hairpin", false);
    spec.isolated = port.value("isolated", false) || has_parted_port(attachment);
    spec.locked = port.value("locked", false);
    std::vector<netlink::Request> requests{netlink::set_master(link->index, bridge.index),
                                           netlink::set_bridge_port(spec)};
    const VlanSpec vlan = links::vlan_from_json(port.value("vlan", nlohmann::json()));
    host.route().transact_all(requests);
    requests = links::vlan_requests(host, link->index, vlan);
    const auto mac = MacAddress::parse(attachment.container_mac);
    if (spec.locked && mac) requests.push_back(netlink::add_bridge_fdb(link->index, *mac));
    host.route().transact_all(requests);
    log_info("network=" + network + " enslaved " + attachment.host_ifname + " to the new bridge");
  }
}

netlink::Link make_bridge(Host& host, const NetworkPlan& plan, ipam::NetworkRecord& record) {
  record.bridge_created = true;
  save(host, record);
  netlink::BridgeSpec spec;
  spec.name = plan.bridge;
  spec.mac = plan.bridge_mac;
  spec.mtu_bytes = plan.mtu_bytes;
  host.route().transact(netlink::create_bridge(spec));
  const auto bridge = netlink::find_link(host.route(), plan.bridge);
  if (!bridge)
    throw Error(ErrorCode::kTryAgainLater, "bridge " + plan.bridge + " vanished as it was made; try again");
  host.route().transact(netlink::set_alias(bridge->index, bridge_alias(plan.name)));
  return *bridge;
}

netlink::Link adopt_bridge(const netlink::Link& bridge, const NetworkPlan& plan,
                           ipam::NetworkRecord& record) {
  if (bridge.kind != "bridge") {
    throw Error(ErrorCode::kInvalidConfig,
                plan.bridge + " exists and is no bridge; name another one with the key bridge, or remove it",
                bridge.kind.empty() ? "a device" : "kind " + bridge.kind);
  }
  const bool ours = bridge.alias == bridge_alias(plan.name);
  record.bridge_created = record.bridge_created || ours;
  if (!ours && recorded_bridge_index(record) == 0 && bridge.alias.rfind(kAliasPrefix, 0) != 0) {
    log_warning("network " + plan.name + " adopts the bridge " + plan.bridge +
                ", which something else made; it will be left in place when the network goes");
  }
  return bridge;
}

/// One IPv4 address a bridge, as the reference has it; IPv6 addresses may stand side by side unless they overlap.
void ensure_gateway(Host& host, const netlink::Link& bridge, const IpPrefix& gateway, const NetworkPlan& plan,
                    ipam::NetworkRecord& record) {
  const std::vector<std::string> own = recorded_gateways(record);
  for (const IpPrefix& present : netlink::list_addresses(host.route(), bridge.index)) {
    if (present == gateway) return;
    const bool same_family = present.address.family() == gateway.address.family();
    const bool tolerable = !same_family || (!gateway.address.is_v4() && !present.overlaps(gateway)) ||
                           std::find(own.begin(), own.end(), present.to_string()) != own.end();
    if (tolerable) continue;
    if (!plan.force_address) {
      throw Error(ErrorCode::kInvalidConfig,
                  "bridge " + bridge.name + " already has an IP address different from " +
                      gateway.to_string() + "; remove it, name another bridge, or set forceAddress",
                  present.to_string());
    }
    host.route().transact(netlink::delete_address(bridge.index, present));
  }
  note_added_gateway(record, gateway.to_string());
  save(host, record);
  host.route().transact(netlink::add_address(bridge.index, gateway, netlink::DuplicateDetection::kOff));
}

constexpr const char* kRedirects = "ipv4/conf/all/accept_redirects";

/// Remembers what stands there before the first change, so that the last DEL can put it back whatever happens in between.
void apply_sysctls(Host& host, const NetworkPlan& plan, ipam::NetworkRecord& record) {
  std::vector<std::pair<std::string, std::string>> wanted;
  for (const auto& [path, value] : plan.host_sysctls) {
    const std::optional<std::string> before = netlink::read_sysctl(path);
    if (!before || *before == value) continue;
    record.sysctls_before.emplace(path, *before);
    // The kernel switches this with it, in both directions (net/ipv4/devinet.c, inet_forward_change).
    const auto redirects = path == kForwarding ? netlink::read_sysctl(kRedirects) : std::nullopt;
    if (redirects) record.sysctls_before.emplace(kRedirects, *redirects);
    wanted.emplace_back(path, value);
  }
  save(host, record);
  netlink::write_sysctls(wanted);  // nothing but what is on record with its value before
}

void set_up_bridge(Host& host, const NetworkPlan& plan, ipam::NetworkRecord& record) {
  const auto present = netlink::find_link(host.route(), plan.bridge);
  const netlink::Link bridge =
      present ? adopt_bridge(*present, plan, record) : make_bridge(host, plan, record);
  if (plan.filters_vlans) {
    const bool is_ours = record.bridge_created || bridge.alias.rfind(kAliasPrefix, 0) == 0;
    ensure_vlan_filtering(host, bridge, is_ours);
  }
  netlink::Link gateway_holder = bridge;
  if (!plan.gateway_link.empty()) {
    save(host, record);
    gateway_holder = ensure_vlan_gateway(host, plan, bridge);
    record.extra[kGatewayMac] = gateway_holder.mac ? gateway_holder.mac->to_string() : "";
  }
  apply_sysctls(host, plan, record);
  enslave_survivors(host, plan.name, bridge);
  if (!bridge.up) host.route().transact(netlink::set_up(bridge.index));
  if (plan.promiscuous && !bridge.promiscuous)
    host.route().transact(netlink::set_promiscuous(bridge.index, true));
  for (const std::string& text : recorded_gateways(record)) {
    const auto gateway = IpPrefix::parse(text);
    if (gateway) ensure_gateway(host, gateway_holder, *gateway, plan, record);
  }
  record.extra[kBridgeIndex] = bridge.index;
  record.extra[kBridgeMac] = bridge.mac ? bridge.mac->to_string() : "";
}

}  // namespace

ipam::NetworkRecord set_up_network(Host& host, const NetworkPlan& plan) {
  ipam::NetworkRecord record;
  host.live().write([&](ipam::Transaction& store) {
    record = merged_record(store, plan);
    store.put_network(record);
  });
  if (plan.bridge.empty()) {
    apply_sysctls(host, plan, record);
  } else {
    set_up_bridge(host, plan, record);
  }
  iptables::NetworkPolicy policy = policy_from_json(record.policy);
  if (!policy.is_empty()) {
    const HeldLock table = host.live().lock_table(LockMode::kExclusive);
    host.live().read([&](const ipam::Transaction& store) { policy = with_link_mates(store, policy); });
    iptables::PolicyTable(host.netfilter()).install(policy);
  }
  if (plan.overlay) set_up_overlay(host, plan, record);
  record.extra[kSettled] = true;
  save(host, record);
  log_info("network=" + plan.name + " bridge=" + plan.bridge + " set up");
  return record;
}

}  // namespace netctl::engine
