#pragma once
// Requests, leases and calls that the tests of the engine start from.

#include <optional>
#include <string>
#include <vector>

#include "plugins/cni/invocation.hpp"
#include "plugins/engine/request.hpp"

namespace netctl::engine::sample {

inline IpAddress address(const std::string& text) { return IpAddress::parse(text).value(); }
inline IpPrefix prefix(const std::string& text) { return IpPrefix::parse(text).value(); }

inline std::vector<std::string> texts(const std::vector<IpPrefix>& prefixes) {
  std::vector<std::string> texts;
  for (const IpPrefix& one : prefixes) texts.push_back(one.to_string());
  return texts;
}

inline ipam::AttachmentKey key() { return {"blue", "0123456789abcdef0123456789abcdef", "eth0"}; }

/// A bridge network as most are: gateway on the bridge, default route, masquerade.
inline AttachmentRequest request() {
  AttachmentRequest request;
  request.key = key();
  request.driver = "bridge";
  request.netns_path = "/run/netns/a";
  request.network.bridge = "br-blue";
  request.network.is_gateway = true;
  request.network.masquerade = true;
  request.endpoint.default_gateway = true;
  return request;
}

inline ipam::LeaseRecord lease(const std::string& cidr, const std::string& gateway,
                               const std::string& pool = "p1") {
  return {prefix(cidr), gateway.empty() ? std::nullopt : std::optional(address(gateway)), pool};
}
inline ipam::LeaseRecord lease_v4() { return lease("10.1.0.5/24", "10.1.0.1"); }
inline ipam::LeaseRecord lease_v6() { return lease("fd00:1::5/64", "fd00:1::1"); }

inline ipam::PortRecord port(std::uint16_t host_port, std::uint16_t container_port,
                             const std::vector<IpAddress>& targets = {address("10.1.0.5")}) {
  ipam::PortRecord record;
  record.protocol = 6;
  record.host_port = host_port;
  record.container_port = container_port;
  record.targets = targets;
  record.claimed_by = {"bridge"};
  return record;
}

/// A call with this configuration on stdin; name, type and version are added where they are missing.
inline cni::Invocation invocation(nlohmann::json config) {
  cni::Invocation call;
  call.command = cni::Command::kAdd;
  call.container_id = "c1";
  call.netns = "/run/netns/a";
  call.ifname = "eth0";
  call.network = config.emplace("name", "blue").first->get<std::string>();
  call.type = config.emplace("type", "bridge").first->get<std::string>();
  call.cni_version = config.emplace("cniVersion", "1.1.0").first->get<std::string>();
  call.config = std::move(config);
  return call;
}

}  // namespace netctl::engine::sample
