#include "iptables/tunnel_guard.hpp"

#include <algorithm>
#include <iterator>

#include "base/error.hpp"
#include "iptables/nft_batch.hpp"
#include "iptables/nft_reader.hpp"

namespace netctl::iptables {
namespace {

template <class T>
std::set<T> without(const std::set<T>& all, const std::set<T>& some) {
  std::set<T> rest;
  std::set_difference(all.begin(), all.end(), some.begin(), some.end(), std::inserter(rest, rest.end()));
  return rest;
}

Tunnels without(const Tunnels& all, const Tunnels& some) {
  return {without(all.ports, some.ports), without(all.peers, some.peers)};
}

}  // namespace

std::vector<Element> elements_of(const Tunnels& tunnels) {
  std::vector<Element> elements;
  elements.reserve(tunnels.ports.size() + tunnels.peers.size());
  for (const std::uint16_t port : tunnels.ports) {
    Element element;
    element.set = SetId::kTunnelPorts;
    append_field(element.key, Protocol::kUdp);
    append_field(element.key, port);
    elements.push_back(std::move(element));
  }
  for (const auto& [peer, port] : tunnels.peers) {
    Element element;
    element.set = tunnel_peers(peer.family());
    append_field(element.key, peer);
    append_field(element.key, port);
    elements.push_back(std::move(element));
  }
  return elements;
}

Tunnels list_tunnels(netlink::Socket& socket) {
  NftReader reader(socket);
  Tunnels tunnels;
  for (const Element& element : reader.list_elements(SetId::kTunnelPorts)) {
    FieldReader fields(element.key);
    if (fields.protocol() == Protocol::kUdp) tunnels.ports.insert(fields.port());
  }
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    for (const Element& element : reader.list_elements(tunnel_peers(family))) {
      FieldReader fields(element.key);
      const IpAddress peer = fields.address(family);
      tunnels.peers.emplace(peer, fields.port());
    }
  }
  return tunnels;
}

std::size_t synchronise_tunnels(netlink::Socket& socket, const Tunnels& wanted) {
  const Tunnels present = list_tunnels(socket);
  const std::vector<Element> missing = elements_of(without(wanted, present));
  const std::vector<Element> stale = elements_of(without(present, wanted));
  if (missing.empty() && stale.empty()) return 0;
  NftBatch batch;
  batch.add_elements(missing);
  batch.delete_elements(stale);
  const auto refusals = batch.commit(socket);
  if (!refusals.empty()) throw_refusal(refusals.front());
  return missing.size() + stale.size();
}

std::vector<std::string> find_tunnel_drift(netlink::Socket& socket, const Tunnels& wanted) {
  const Tunnels present = list_tunnels(socket);
  std::vector<std::string> lines;
  for (const Element& element : elements_of(without(wanted, present))) {
    lines.push_back(describe(element) + " is missing");
  }
  for (const Element& element : elements_of(without(present, wanted))) {
    lines.push_back(describe(element) + " should not be there");
  }
  return lines;
}

}  // namespace netctl::iptables
