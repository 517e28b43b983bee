// A device of the host that moves into the container and back. Until it is back in order it carries an alias that tells
// whose it is and what it was called: so it is found again whatever it is called, and wherever a crash left it.

#include <net/if.h>

#include <algorithm>

#include "base/error.hpp"
#include "netlink/address.hpp"
#include "netlink/link.hpp"
#include "netlink/link_move.hpp"
#include "plugins/engine/identity.hpp"
#include "plugins/engine/link_kinds.hpp"
#include "plugins/engine/links/device_lookup.hpp"
#include "plugins/engine/log.hpp"

namespace netctl::engine::links {
namespace {

constexpr const char* kDevice = "device";
constexpr const char* kAnyName = "dev%d";
constexpr std::string_view kNameInAlias = ":device=";

nlohmann::json to_json(const DeviceState& device) {
  nlohmann::json addresses = nlohmann::json::array();
  for (const IpPrefix& address : device.addresses) addresses.push_back(address.to_string());
  return {{"name", device.name},   {"index", device.index},   {"kind", device.kind},
          {"mac", device.mac},     {"mtu", device.mtu_bytes}, {"up", device.up},
          {"alias", device.alias}, {"bridge", device.bridge}, {"addresses", addresses}};
}

DeviceState device_from_json(const nlohmann::json& json) {
  DeviceState device;
  device.name = json.value("name", "");
  device.index = json.value("index", 0U);
  device.kind = json.value("kind", "");
  device.mac = json.value("mac", "");
  device.mtu_bytes = json.value("mtu", 0U);
  device.up = json.value("up", false);
  device.alias = json.value("alias", "");
  device.bridge = json.value("bridge", "");
  for (const nlohmann::json& text : json.value("addresses", nlohmann::json::array())) {
    if (const auto address = IpPrefix::parse(text.get<std::string>())) device.addresses.push_back(*address);
  }
  return device;
}

DeviceState state_of_link(Host& host, const netlink::Link& link) {
  DeviceState device;
  device.name = link.name;
  device.index = link.index;
  device.kind = link.kind;
  device.mac = link.mac ? link.mac->to_string() : "";
  device.mtu_bytes = link.mtu_bytes;
  device.up = link.up;
  device.alias = link.alias;
  if (const auto bridge = netlink::find_link(host.route(), link.master_index)) device.bridge = bridge->name;
  const IpPrefix link_local = IpPrefix::parse("fe80::/10").value();
  for (const IpPrefix& address : netlink::list_addresses(host.route(), link.index)) {
    if (!link_local.contains(address.address)) device.addresses.push_back(address);
  }
  return device;
}

bool is_ours(const netlink::Link& link, const ipam::AttachmentKey& key) {
  return digest_in_alias(link.alias) == key_digest(key);
}

/// By the names that it is likely to have, else whatever it is called.
std::optional<netlink::Link> find_ours(netlink::Socket& socket, const ipam::AttachmentKey& key,
                                       const std::string& likely_name) {
  auto likely = netlink::find_link(socket, likely_name);
  if (likely && is_ours(*likely, key)) return likely;
  for (netlink::Link& link : netlink::list_links(socket)) {
    if (is_ours(link, key)) return std::move(link);
  }
  return std::nullopt;
}

/// Out of the container, under its own name if that is free.
void move_home(Container& container, const netlink::Link& link, const std::string& name) {
  const netlink::Netns home = netlink::Netns::current();
  try {
    container.route.transact(netlink::move_link(link.index, home.fd(), name));
  } catch (const Error& error) {
    if (error.sys_errno() != EEXIST) throw;
    // Somebody in the host took the name meanwhile. It may have moved under the other one all the same.
    if (!netlink::find_link(container.route, link.index)) return;
    container.route.transact(netlink::move_link(link.index, home.fd(), kAnyName));
  }
}

void restore_name(Host& host, const netlink::Link& link, const std::string& name) {
  if (link.name == name || name.empty()) return;
  if (link.up) host.route().transact(netlink::set_down(link.index));
  try {
    host.route().transact(netlink::rename_link(link.index, name));
  } catch (const Error& error) {
    if (error.sys_errno() != EEXIST) throw;
    log_warning("the device that was called " + name + " is back as " + link.name +
                ": its name was taken meanwhile; rename it by hand");
  }
}

/// What it was before it left. Its alias goes last: as long as that is there, this can be repeated.
void restore(Host& host, const netlink::Link& link, const DeviceState& before) {
  restore_name(host, link, before.name);
  std::vector<netlink::Request> requests;
  const auto mac = MacAddress::parse(before.mac);
  if (mac && link.mac != mac) requests.push_back(netlink::set_mac(link.index, *mac));
  if (before.mtu_bytes != 0 && link.mtu_bytes != before.mtu_bytes) {
    requests.push_back(netlink::set_mtu(link.index, before.mtu_bytes));
  }
  const auto bridge = host.route().find_link_index(before.bridge);
  if (bridge && link.master_index != *bridge) requests.push_back(netlink::set_master(link.index, *bridge));
  requests.push_back(before.up ? netlink::set_up(link.index) : netlink::set_down(link.index));
  for (const IpPrefix& address : before.addresses) {
    requests.push_back(netlink::add_address(link.index, address, netlink::DuplicateDetection::kOff));
  }
  requests.push_back(netlink::set_alias(link.index, before.alias));
  host.route().transact_all(requests);
}

}  // namespace

nlohmann::json state_of(const HostDevice& spec) {
  return {{kDevice, spec.found ? to_json(*spec.found) : nlohmann::json()}};
}

void resolve(Host& host, Container* /*container*/, AttachmentRequest& request, HostDevice& spec) {
  if (spec.userspace_driver) return;
  const std::optional<netlink::Link> link = find_device(host, spec);
  if (!link) return;
  if (link->name == "lo") {
    throw Error(ErrorCode::kInvalidConfig,
                "device: lo belongs to the host's namespace and cannot be moved; "
                "name another device");
  }
  spec.found = state_of_link(host, *link);
  request.endpoint.mac = link->mac;
}

void make(Host& host, Container& container, const Plan& plan, const DevicePlan& shape,
          const SharedNetwork& /*network*/) {
  if (!shape.device) return;
  throw_if_taken(container, *plan.link);
  host.route().transact(netlink::set_alias(shape.device->index, plan.link->alias));
  try {
    host.route().transact(
        netlink::move_link(shape.device->index, container.netns.fd(), plan.link->container_ifname));
  } catch (const Error& error) {
    if (error.sys_errno() != EINVAL && error.sys_errno() != EOPNOTSUPP) throw;
    throw Error(
        ErrorCode::kInvalidConfig,
        "device: " + shape.device->name + " cannot be moved to another namespace; name another device",
        error.details(), error.sys_errno());
  }
}

void undo_device(Host& host, const ipam::AttachmentRecord& record, const nlohmann::json& state) {
  const nlohmann::json saved = state.value(kDevice, nlohmann::json());
  if (!saved.is_object()) return;  // a userspace driver has it
  const DeviceState before = device_from_json(saved);
  if (std::optional<Container> container = reenter(record)) {
    const auto inside = find_ours(container->route, record.key, record.key.ifname);
    if (inside) move_home(*container, *inside, before.name);
  }
  const auto link = find_ours(host.route(), record.key, before.name);
  if (link) {
    restore(host, *link, before);
    return;
  }
  const auto unmoved = netlink::find_link(host.route(), before.index);
  if (unmoved && unmoved->name == before.name) return;
  log_warning("device " + before.name + " does not come back: " +
              (before.kind.empty() ? "it is in no namespace that netctl can look into"
                                   : "as a " + before.kind + " it ended with the container's namespace"));
}

std::string original_name(const std::string& alias) {
  if (digest_in_alias(alias).empty()) return {};
  const std::size_t place = alias.rfind(kNameInAlias);
  return place == std::string::npos ? std::string() : alias.substr(place + kNameInAlias.size());
}

void give_back(Host& host, const netlink::Link& device) {
  restore_name(host, device, original_name(device.alias));
  host.route().transact(netlink::set_alias(device.index, ""));
}

void bring_home(Host& host, Container& container, const ipam::AttachmentKey& key, const netlink::Link& link) {
  const std::string name = original_name(link.alias);
  move_home(container, link, name);
  if (const auto device = find_ours(host.route(), key, name)) give_back(host, *device);
}

bool has_come_back(Host& host, const ipam::AttachmentRecord& record, const nlohmann::json& state) {
  if (!state.is_object()) return false;
  const nlohmann::json saved = state.value(kDevice, nlohmann::json());
  if (!saved.is_object()) return false;
  const auto link = netlink::find_link(host.route(), saved.value("index", 0U));
  return link && is_ours(*link, record.key);
}

}  // namespace netctl::engine::links
