#include "plugins/engine/network.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "iptables/policy_table.hpp"
#include "netlink/link.hpp"
#include "plugins/engine/network_setup.hpp"

namespace netctl::engine {
namespace {

template <class T>
bool includes_all(const std::vector<T>& all, const std::vector<T>& some) {
  return std::all_of(some.begin(), some.end(),
                     [&all](const T& item) { return std::find(all.begin(), all.end(), item) != all.end(); });
}

bool covers(const iptables::NetworkPolicy& present, const iptables::NetworkPolicy& wanted) {
  return present.link == wanted.link && includes_all(present.masquerade, wanted.masquerade) &&
         present.masquerade_exclude == wanted.masquerade_exclude && (present.publishes || !wanted.publishes) &&
         present.isolated == wanted.isolated && present.internal == wanted.internal;
}

std::vector<std::string> texts(const std::vector<IpPrefix>& prefixes) {
  std::vector<std::string> list;
  for (const IpPrefix& prefix : prefixes) list.push_back(prefix.to_string());
  return list;
}

bool covers(const ipam::NetworkRecord& record, const NetworkPlan& plan, std::uint32_t bridge_index) {
  return record.bridge == plan.bridge && recorded_bridge_index(record) == bridge_index &&
         includes_all(record.pools, plan.pools) && includes_all(record.subnets, texts(plan.subnets)) &&
         includes_all(recorded_gateways(record), texts(plan.gateways)) &&
         covers(policy_from_json(record.policy), merge_policy(record, plan));
}

iptables::PolicyTable policy_table(Host& host) { return iptables::PolicyTable(host.netfilter()); }

void rebuild_table(Host& host) {
  const HeldLock table = host.live().lock_table(LockMode::kExclusive);
  std::vector<iptables::NetworkPolicy> networks;
  std::vector<iptables::PublishedPort> ports;
  host.live().read([&](const ipam::Transaction& store) {
    for (const ipam::NetworkRecord& record : store.list_networks()) {
      iptables::NetworkPolicy policy = policy_from_json(record.policy);
      if (!policy.is_empty()) networks.push_back(std::move(policy));
    }
    for (const ipam::AttachmentRecord& record : store.list_attachments()) {
      for (iptables::PublishedPort& port : published_ports(record.key, record.ports)) ports.push_back(std::move(port));
    }
  });
  policy_table(host).rebuild(networks, ports);
}

}  // namespace

NetworkHold ensure_network(Host& host, const NetworkPlan& plan) {
  constexpr int kAttempts = 16;  // each lost one means that another process removed the network in between
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    NetworkHold hold;
    hold.lock = host.live().lock_network(plan.name, LockMode::kShared);
    if (!plan.bridge.empty()) {
      if (const auto bridge = netlink::find_link(host.route(), plan.bridge)) {
        hold.bridge_index = bridge->index;
        hold.bridge_mac = bridge->mac ? bridge->mac->to_string() : "";
      }
    }
    std::optional<ipam::NetworkRecord> record;
    host.live().read([&](const ipam::Transaction& store) { record = store.find_network(plan.name); });
    const bool bridge_present = plan.bridge.empty() || hold.bridge_index != 0;
    if (record && bridge_present && covers(*record, plan, hold.bridge_index)) return hold;
    hold.lock.release();
    const HeldLock exclusive = host.live().lock_network(plan.name, LockMode::kExclusive);
    set_up_network(host, plan);
  }
  throw Error(ErrorCode::kTryAgainLater, "network " + plan.name + " keeps being removed by other operations; try again");
}

void put_policy(Host& host, const iptables::NetworkPolicy& policy, const std::vector<iptables::PublishedPort>& ports) {
  if (policy.is_empty() && ports.empty()) return;
  {
    const HeldLock table = host.live().lock_table(LockMode::kShared);
    if (policy_table(host).put(policy, ports) == iptables::PolicyTable::Put::kDone) return;
  }
  rebuild_table(host);
  const HeldLock table = host.live().lock_table(LockMode::kShared);
  if (policy_table(host).put(policy, ports) != iptables::PolicyTable::Put::kDone) {
    throw Error(ErrorCode::kTryAgainLater,
                "the table inet netctl was removed again while it was being rebuilt; stop what flushes it and try again");
  }
}

void withdraw_ports(Host& host, const std::vector<iptables::PublishedPort>& ports) {
  if (ports.empty()) return;
  const HeldLock table = host.live().lock_table(LockMode::kShared);
  policy_table(host).withdraw(ports);
}

void remove_network_if_unused(Host& host, const std::string& network) {
  const HeldLock exclusive = host.live().try_lock_network(network, LockMode::kExclusive);
  if (!exclusive) return;
  tear_down_network(host, network);
}

}  // namespace netctl::engine
