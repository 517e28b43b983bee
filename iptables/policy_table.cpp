#include "iptables/policy_table.hpp"

#include <algorithm>
#include <set>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "iptables/nft_batch.hpp"
#include "iptables/nft_reader.hpp"
#include "iptables/policy_elements.hpp"
#include "iptables/table_batch.hpp"

namespace netctl::iptables {
namespace {

constexpr int kDeleteAttempts = 3;
constexpr int kGenerationAttempts = 8;
constexpr std::size_t kChainDigits = 16;

using Refusals = std::vector<NftBatch::Refusal>;

/// The key is there already with another value. Which errno says so depends on the kind of set and the kernel's version.
bool is_conflict(int sys_errno) {
  return sys_errno == EEXIST || sys_errno == EBUSY || sys_errno == ENOTEMPTY;
}

bool is_missing(const NftBatch::Refusal& refusal) { return refusal.sys_errno == ENOENT; }

bool overlaps(const Element& a, const Element& b) { return a.key <= b.key_end && b.key <= a.key_end; }

/// The element that keeps `wanted` from being added.
std::optional<Element> find_holder(NftReader& reader, const Element& wanted) {
  if (!shape_of(wanted.set).has_intervals) {
    std::optional<Element> found = reader.find_element(wanted);
    if (!found || found->has_same_value(wanted)) return std::nullopt;
    return found;
  }
  for (const Element& other : reader.list_elements(wanted.set)) {
    const bool is_equal = other.has_same_key(wanted) && other.has_same_value(wanted);
    if (!is_equal && overlaps(other, wanted)) return other;
  }
  return std::nullopt;
}

[[noreturn]] void throw_conflict(const Element& wanted, const Element& holder) {
  const std::string owner =
      holder.comment.empty() ? "somebody who left no comment" : "\"" + holder.comment + "\"";
  if (shape_of(wanted.set).has_verdict) {
    throw Error(ErrorCode::kSubnetUnavailable,
                "subnet " + describe_key(wanted) + " overlaps " + describe_key(holder) + " of network " +
                    owner + "; choose another subnet or remove that network",
                describe(holder), EEXIST);
  }
  const PublishedPort port = published_port_of(wanted);
  const std::string where = port.host_ip ? " of " + port.host_ip->to_string() : "";
  throw Error(ErrorCode::kPortTaken,
              to_string(port.protocol) + " port " + std::to_string(port.host_port) + where +
                  " is published already by " + owner + "; choose another host port or remove that container",
              describe(holder), EEXIST);
}

[[noreturn]] void throw_refusals(netlink::Socket& socket, const Refusals& refusals) {
  NftReader reader(socket);
  for (const NftBatch::Refusal& refusal : refusals) {
    if (!is_conflict(refusal.sys_errno)) continue;
    for (const Element& wanted : refusal.elements) {
      if (const std::optional<Element> holder = find_holder(reader, wanted)) throw_conflict(wanted, *holder);
    }
  }
  throw_refusal(refusals.front());
}

void commit(NftBatch& batch, netlink::Socket& socket) {
  const Refusals refusals = batch.commit(socket);
  if (!refusals.empty()) throw_refusals(socket, refusals);
}

/// Elements that belong to the network of this chain: they lead to it, or their comment names the network.
std::vector<Element> list_elements_of_chain(NftReader& reader, const std::string& chain) {
  std::vector<Element> elements;
  for (const SetShape& set : all_sets()) {
    const bool is_link_set = set.key[0] == Field::kLink;
    if (!set.has_verdict && !is_link_set) continue;
    for (Element& element : reader.list_elements(set.id)) {
      if (element.chain == chain || (is_link_set && chain_name(element.comment) == chain)) {
        elements.push_back(std::move(element));
      }
    }
  }
  return elements;
}

/// Deletes what is there with exactly these values, and leaves alone what has others. Adding an element just before it is
/// deleted makes the kernel compare (it does not when it deletes), and makes the deletion of a missing one no error; the
/// addition itself is never seen by a packet. Only when the kernel refuses that, the elements are looked at one by one.
/// With a chain, that is deleted, too, with all elements that lead to it.
void delete_exactly(netlink::Socket& socket, std::vector<Element> elements, const std::string& chain) {
  NftReader reader(socket);
  for (int attempt = 1; !elements.empty() || !chain.empty(); ++attempt) {
    NftBatch batch;
    if (!chain.empty()) batch.add_chain(chain);
    batch.add_elements(elements);
    batch.delete_elements(elements);
    if (!chain.empty()) {
      batch.flush_chain(chain);
      batch.delete_chain(chain);
    }
    const Refusals refusals = batch.commit(socket);
    if (refusals.empty() || !reader.has_table()) return;
    const bool is_understood = std::all_of(refusals.begin(), refusals.end(), [](const auto& refusal) {
      return is_conflict(refusal.sys_errno) || is_missing(refusal);
    });
    if (!is_understood || attempt == kDeleteAttempts) throw_refusal(refusals.front());
    elements.erase(std::remove_if(elements.begin(), elements.end(),
                                  [&](const Element& element) { return !reader.holds(element); }),
                   elements.end());
    if (chain.empty()) continue;
    for (Element& element : list_elements_of_chain(reader, chain)) {
      const auto is_known = [&](const Element& other) { return other.has_same_key(element); };
      if (std::none_of(elements.begin(), elements.end(), is_known)) elements.push_back(std::move(element));
    }
  }
}

}  // namespace

std::string chain_name(const std::string& network) {
  return std::string(kNetworkPrefix) + hash_parts({network}).hex(kChainDigits);
}

PolicyTable::Put PolicyTable::put(const NetworkPolicy& network, std::span<const PublishedPort> ports) {
  NftBatch batch;
  std::vector<Element> elements = elements_of(network);
  for (Element& element : elements_of(ports)) elements.push_back(std::move(element));
  if (elements.empty()) return Put::kDone;
  batch.add_elements(elements);
  const Refusals refusals = batch.commit(*socket_);
  if (refusals.empty()) return Put::kDone;
  if (std::any_of(refusals.begin(), refusals.end(), is_missing)) return Put::kTableMissing;
  throw_refusals(*socket_, refusals);
}

void PolicyTable::withdraw(std::span<const PublishedPort> ports, std::span<const PublishedPort> staying) {
  std::vector<Element> elements = elements_of(ports);
  for (const Element& needed : elements_of(staying)) {
    std::erase_if(elements, [&needed](const Element& element) {
      return element.set == needed.set && element.key == needed.key;
    });
  }
  delete_exactly(*socket_, elements, {});
}

void PolicyTable::withdraw_link(const std::string& network, const std::string& link,
                                std::span<const NetworkPolicy> staying) {
  NetworkPolicy all;
  all.network = network;
  all.link = link;
  all.publishes = all.isolated = all.internal = true;
  std::vector<Element> elements = elements_of(all);
  std::vector<Element> kept;
  for (const NetworkPolicy& policy : staying) {
    for (Element& element : elements_of(policy)) kept.push_back(std::move(element));
  }
  const auto stays = [&kept](const Element& element) {
    return std::any_of(kept.begin(), kept.end(),
                       [&element](const Element& other) { return other.has_same_key(element); });
  };
  elements.erase(std::remove_if(elements.begin(), elements.end(), stays), elements.end());
  delete_exactly(*socket_, std::move(elements), {});
}

void PolicyTable::install(const NetworkPolicy& network) { rebuild({&network, 1}, {}); }

void PolicyTable::rebuild(std::span<const NetworkPolicy> networks, std::span<const PublishedPort> ports) {
  NftBatch batch;
  add_base(batch);
  for (const NetworkPolicy& network : networks) add_network(batch, network);
  batch.add_elements(elements_of(ports));
  commit(batch, *socket_);
}

void PolicyTable::remove_network(const NetworkPolicy& network) {
  delete_exactly(*socket_, elements_of(network), chain_name(network.network));
}

void PolicyTable::remove_network_chain(const std::string& chain) {
  if (chain.compare(0, kNetworkPrefix.size(), kNetworkPrefix) != 0) {
    throw Error(ErrorCode::kInternal, "not the chain of a network: " + chain);
  }
  NftReader reader(*socket_);
  delete_exactly(*socket_, list_elements_of_chain(reader, chain), chain);
}

bool PolicyTable::remove_table() {
  NftReader reader(*socket_);
  for (int attempt = 0; attempt < kGenerationAttempts; ++attempt) {
    // An operator's rule that comes between looking and deleting changes the generation, and the batch is refused.
    NftBatch batch(reader.generation());
    for (const ChainState& chain : reader.list_chains()) {
      if (is_user_chain(chain.name) && !reader.list_rules(chain.name).empty()) return false;
    }
    if (!reader.has_table()) return true;
    batch.delete_table();
    const Refusals refusals = batch.commit(*socket_);
    if (refusals.empty() || is_missing(refusals.front())) return true;
    if (refusals.front().sys_errno != ERESTART) throw_refusal(refusals.front());
  }
  throw Error(ErrorCode::kTryAgainLater,
              "table inet netctl could not be removed: other programs keep changing nf_tables");
}

std::vector<PublishedPort> PolicyTable::list_ports() {
  NftReader reader(*socket_);
  std::set<std::vector<std::uint8_t>> targets;
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    for (Element& target : reader.list_elements(published_targets(family)))
      targets.insert(std::move(target.key));
  }
  std::vector<PublishedPort> ports;
  for (const SetShape& set : all_sets()) {
    if (!set.is_map() || set.has_verdict) continue;
    for (const Element& element : reader.list_elements(set.id)) {
      PublishedPort port = published_port_of(element);
      port.masquerade_local = targets.contains(target_of(port, 0).key);
      ports.push_back(std::move(port));
    }
  }
  return ports;
}

std::vector<std::string> PolicyTable::list_network_chains() {
  std::vector<std::string> names;
  for (const ChainState& chain : NftReader(*socket_).list_chains()) {
    if (chain.name.compare(0, kNetworkPrefix.size(), kNetworkPrefix) == 0) names.push_back(chain.name);
  }
  return names;
}

}  // namespace netctl::iptables
