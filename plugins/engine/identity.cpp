#include "plugins/engine/identity.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

#include "base/hash.hpp"
#include "base/unique_fd.hpp"

namespace netctl::engine {
namespace {

constexpr std::size_t kAliasLimit = 255;

Hash128 key_hash(std::string_view purpose, const ipam::AttachmentKey& key) {
  return hash_parts({purpose, key.network, key.container_id, key.ifname});
}

std::string machine_id() {
  const UniqueFd fd(::open("/etc/machine-id", O_RDONLY | O_CLOEXEC));
  std::array<char, 64> text{};
  const ssize_t size = fd ? ::read(fd.get(), text.data(), text.size()) : 0;
  return {text.data(), size > 0 ? static_cast<std::size_t>(size) : 0U};
}

}  // namespace

std::string host_ifname(const ipam::AttachmentKey& key) {
  return "nc" + key_hash("host-ifname", key).hex(13);
}

std::string handed_over_ifname(const ipam::AttachmentKey& key) {
  return "np" + key_hash("host-ifname", key).hex(13);
}

MacAddress host_mac(const ipam::AttachmentKey& key) {
  return MacAddress::from_hash(key_hash("host-mac", key).high());
}

MacAddress container_mac(const ipam::AttachmentKey& key, const std::vector<IpPrefix>& addresses) {
  if (addresses.empty()) return MacAddress::from_hash(key_hash("container-mac", key).high());
  const std::string first = addresses.front().address.to_string();
  return MacAddress::from_hash(hash_parts({"container-mac", key.network, first}).high());
}

MacAddress bridge_mac(const std::string& bridge) {
  return MacAddress::from_hash(hash_parts({"bridge-mac", machine_id(), bridge}).high());
}

std::string vlan_gateway_name(const std::string& bridge, std::uint16_t vlan) {
  return bridge + "." + std::to_string(vlan);
}

std::uint16_t vlan_of_gateway(const std::string& name) {
  const std::size_t dot = name.rfind('.');
  return dot == std::string::npos
             ? std::uint16_t{0}
             : static_cast<std::uint16_t>(std::strtoul(name.c_str() + dot + 1, nullptr, 10));
}

std::string vlan_gateway_port(const std::string& bridge, std::uint16_t vlan) {
  return "ng" + hash_parts({"vlan-gateway", bridge, std::to_string(vlan)}).hex(13);
}

std::string link_alias(const ipam::AttachmentKey& key, const std::vector<IpPrefix>& addresses) {
  std::string tail = ":" + key_digest(key) + ":";
  for (const IpPrefix& prefix : addresses) {
    const std::string text = prefix.address.to_string();
    if (tail.size() + text.size() > kAliasLimit / 2) break;
    if (tail.back() != ':') tail += ',';
    tail += text;
  }
  const std::size_t room = kAliasLimit - std::string_view(kAliasPrefix).size() - tail.size();
  return kAliasPrefix + key.network.substr(0, room) + tail;
}

std::string device_alias(const ipam::AttachmentKey& key, const std::string& name) {
  const std::string tail = ":" + key_digest(key) + ":device=" + name;
  return kAliasPrefix +
         key.network.substr(0, kAliasLimit - std::string_view(kAliasPrefix).size() - tail.size()) + tail;
}

std::string bridge_alias(const std::string& network) {
  return (kAliasPrefix + network).substr(0, kAliasLimit - 2) + "::";
}

std::string key_digest(const ipam::AttachmentKey& key) { return key_hash("key", key).hex(16); }

std::string digest_in_alias(const std::string& alias) {
  if (alias.rfind(kAliasPrefix, 0) != 0) return {};
  // IPv6 addresses hold colons too: the digest is the first 16-digit field behind the network's name.
  const std::size_t network_end = alias.find(':', std::string_view(kAliasPrefix).size());
  if (network_end == std::string::npos) return {};
  const std::size_t digest_end = alias.find(':', network_end + 1);
  if (digest_end != network_end + 17) return {};
  return alias.substr(network_end + 1, 16);
}

std::string owner_comment(const ipam::AttachmentKey& key) {
  constexpr std::size_t kReadableLength = 64;
  return key.network.substr(0, 32) + "/" + key.container_id.substr(0, kReadableLength) + "/" + key.ifname;
}

std::string describe(const ipam::AttachmentKey& key, const std::string& container_name) {
  const std::string short_id = key.container_id.substr(0, 12);
  const std::string who = container_name.empty() ? short_id : container_name + " (" + short_id + ")";
  return "container " + who + ", interface " + key.ifname;
}

}  // namespace netctl::engine
