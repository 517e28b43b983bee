#include "plugins/engine/parts/firewall.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "iptables/forward_accept.hpp"
#include "netlink/link.hpp"
#include "plugins/engine/ingress.hpp"
#include "plugins/engine/network.hpp"
#include "plugins/engine/parts/firewalld.hpp"
#include "plugins/engine/parts/legacy_iptables.hpp"

namespace netctl::engine {
namespace {

using iptables::ForwardAccept;
using iptables::ForwardFilter;

// The state: {"accepts": [{"by": "nft" or "legacy", "chain", "link", "addresses", "admin"}], "zone", "sources": [...],
// "ingress": of ingress.hpp}. "sources" are those that were not in the zone before.
constexpr const char* kByNft = "nft";
constexpr const char* kByLegacy = "legacy";

nlohmann::json to_json(const ForwardAccept& accept, const char* by) {
  return {{"by", by},
          {"chain", accept.chain},
          {"link", accept.link},
          {"addresses", accept.addresses.to_string()},
          {"admin", accept.admin_chain}};
}

ForwardAccept accept_from(const nlohmann::json& json) {
  const auto addresses = IpPrefix::parse(json.at("addresses").get<std::string>());
  if (!addresses) throw Error(ErrorCode::kIo, "the record holds no addresses", json.dump());
  return {json.at("chain").get<std::string>(), json.at("link").get<std::string>(), *addresses,
          json.at("admin").get<std::string>()};
}

bool is_legacy(const nlohmann::json& accept) { return accept.at("by") == kByLegacy; }

nlohmann::json accepts_in(const nlohmann::json& state) {
  return state.value("accepts", nlohmann::json::array());
}

/// The bridge that the container is behind; empty when there is none.
std::string bridge_among(Host& host, const std::vector<std::string>& links) {
  for (const std::string& name : links) {
    const auto link = netlink::find_link(host.route(), name);
    if (link && link->kind == "bridge") return name;
  }
  return {};
}

/// One subnet for all that are behind a bridge, so that the next container finds the rules there; without a bridge
/// somebody else may be in the same subnet.
std::vector<ForwardAccept> wanted_accepts(const FirewallRequest& request, const std::string& bridge) {
  std::vector<ForwardAccept> accepts;
  for (const IpPrefix& address : request.addresses) {
    ForwardAccept accept;
    accept.link = bridge;
    accept.addresses = bridge.empty()
                           ? IpPrefix{address.address, static_cast<std::uint8_t>(address.address.bits())}
                           : address.network();
    const bool known = std::any_of(accepts.begin(), accepts.end(), [&accept](const ForwardAccept& other) {
      return other.addresses == accept.addresses;
    });
    if (!known) accepts.push_back(std::move(accept));
  }
  return accepts;
}

nlohmann::json places_for(Host& host, const FirewallRequest& request, const std::string& bridge) {
  nlohmann::json places = nlohmann::json::array();
  ForwardFilter filter(host.netfilter());
  for (ForwardAccept accept : wanted_accepts(request, bridge)) {
    const Family family = accept.family();
    if (const auto chain = filter.find_chain(family)) {
      accept.chain = *chain;
      accept.admin_chain = filter.has_chain(family, request.admin_chain) ? request.admin_chain : "";
      places.push_back(to_json(accept, kByNft));
    }
    if (uses_legacy_filter(family)) {
      accept.chain = legacy_chain(family);
      accept.admin_chain = has_legacy_chain(family, request.admin_chain) ? request.admin_chain : "";
      places.push_back(to_json(accept, kByLegacy));
    }
  }
  return places;
}

std::optional<Firewalld> find_firewalld(FirewallBackend backend) {
  if (backend == FirewallBackend::kIptables) return std::nullopt;
  auto firewalld = Firewalld::connect();
  if (!firewalld && backend == FirewallBackend::kFirewalld) {
    throw Error(
        ErrorCode::kNotAvailable,
        "firewalld is not running; start it, or choose another backend in the configuration of firewall");
  }
  return firewalld;
}

IngressRequest ingress_request(Host& host, const FirewallRequest& request) {
  return {request.key, request.ingress, bridge_among(host, request.host_links), request.host_links};
}

nlohmann::json prepare(Host& host, const FirewallRequest& request, const IngressRequest& ingress) {
  nlohmann::json state = {{"accepts", nlohmann::json::array()},
                          {"zone", request.zone},
                          {"sources", nlohmann::json::array()},
                          {"ingress", prepare_ingress(host, ingress)}};
  if (request.backend != FirewallBackend::kFirewalld)
    state["accepts"] = places_for(host, request, ingress.bridge);
  if (auto firewalld = find_firewalld(request.backend)) {
    for (const IpPrefix& address : request.addresses) {
      const std::string source =
          IpPrefix{address.address, static_cast<std::uint8_t>(address.address.bits())}.to_string();
      if (!firewalld->has_source(request.zone, source)) state["sources"].push_back(source);
    }
  }
  return state;
}

void place(Host& host, const nlohmann::json& state) {
  {
    const HeldLock table = host.live().lock_table(LockMode::kExclusive);
    ForwardFilter filter(host.netfilter());
    for (const nlohmann::json& accept : accepts_in(state)) {
      is_legacy(accept) ? add_legacy(accept_from(accept)) : filter.add(accept_from(accept));
    }
  }
  if (state.at("sources").empty()) return;
  auto firewalld = find_firewalld(FirewallBackend::kFirewalld);
  for (const nlohmann::json& source : state.at("sources")) {
    firewalld->add_source(state.at("zone").get<std::string>(), source.get<std::string>());
  }
}

/// What some other attachment still needs. Records come before rules: one that is just being made is among them.
nlohmann::json needed_by_others(const ipam::Transaction& store, const ipam::AttachmentKey& key) {
  nlohmann::json needed = nlohmann::json::array();
  for (const ipam::AttachmentRecord& other : store.list_attachments()) {
    const auto part = other.parts.find(kFirewallPart);
    if (other.key == key || part == other.parts.end() || part->second == ipam::State::kDeleting) continue;
    for (const nlohmann::json& accept : accepts_in(part_state(other, kFirewallPart)))
      needed.push_back(accept);
  }
  return needed;
}

}  // namespace

void open_firewall(Host& host, const FirewallRequest& request) {
  const IngressRequest ingress = ingress_request(host, request);
  const PartSteps steps{.prepare = [&] { return prepare(host, request, ingress); },
                        .apply =
                            [&](const ipam::AttachmentRecord& record, nlohmann::json& state) {
                              // Before packets are let through elsewhere.
                              apply_ingress(host, ingress, record, state.at("ingress"));
                              place(host, state);
                            }};
  try {
    add_part(host, {request.key, kFirewallPart, request.netns_path, request.container_name}, steps);
  } catch (...) {
    remove_network_if_unused(host, request.key.network);
    throw;
  }
}

void require_backend(FirewallBackend backend) { (void)find_firewalld(backend); }

void undo_firewall(Host& host, const ipam::AttachmentRecord& record, const nlohmann::json& state) {
  if (!accepts_in(state).empty()) {
    const HeldLock table = host.live().lock_table(LockMode::kExclusive);
    nlohmann::json needed;
    host.live().read([&](const ipam::Transaction& store) { needed = needed_by_others(store, record.key); });
    ForwardFilter filter(host.netfilter());
    for (const nlohmann::json& accept : accepts_in(state)) {
      if (std::find(needed.begin(), needed.end(), accept) != needed.end()) continue;
      is_legacy(accept) ? remove_legacy(accept_from(accept)) : filter.remove(accept_from(accept));
    }
  }
  undo_ingress(host, state.value("ingress", nlohmann::json()));
  const nlohmann::json sources = state.value("sources", nlohmann::json::array());
  auto firewalld = sources.empty() ? std::nullopt : Firewalld::connect();
  if (!firewalld) return;  // what was told to a firewalld that has ended has ended with it
  for (const nlohmann::json& source : sources) {
    firewalld->remove_source(state.at("zone").get<std::string>(), source.get<std::string>());
  }
}

std::vector<std::string> firewall_drift(Host& host, const ipam::AttachmentRecord& record,
                                        const nlohmann::json& state) {
  std::vector<std::string> findings = ingress_drift(host, record, state.value("ingress", nlohmann::json()));
  ForwardFilter filter(host.netfilter());
  for (const nlohmann::json& json : accepts_in(state)) {
    const ForwardAccept accept = accept_from(json);
    if (is_legacy(json) ? has_legacy(accept) : filter.has(accept)) continue;
    findings.push_back("the accept for " + accept.addresses.to_string() + " is missing in the chain " +
                       accept.chain + (is_legacy(json) ? " of the older iptables" : " of iptables"));
  }
  const nlohmann::json sources = state.value("sources", nlohmann::json::array());
  auto firewalld = sources.empty() ? std::nullopt : Firewalld::connect();
  for (const nlohmann::json& source : sources) {
    const std::string zone = state.at("zone").get<std::string>();
    if (firewalld && firewalld->has_source(zone, source.get<std::string>())) continue;
    findings.push_back(source.get<std::string>() + " is no source of firewalld's zone " + zone);
  }
  return findings;
}

}  // namespace netctl::engine
