#include "plugins/engine/addressing.hpp"

#include <memory>

#include "base/error.hpp"
#include "ipam/reservations.hpp"
#include "netlink/route.hpp"
#include "plugins/cni/delegate.hpp"
#include "plugins/engine/reference_leases.hpp"

namespace netctl::engine {
namespace {

/// What a subnet of our own choice must stay clear of. The default route and the halves of the address space that VPNs route
/// are no reason to avoid everything.
std::vector<IpPrefix> subnets_in_use(Host& host, std::vector<IpPrefix> in_use) {
  constexpr unsigned kShortestRealPrefix = 4;
  for (const netlink::Route& route : netlink::list_routes(host.route(), Family::kIpv4)) {
    if (route.destination.length >= kShortestRealPrefix) in_use.push_back(route.destination);
  }
  return in_use;
}

std::vector<IpPrefix> chosen_subnets(Host& host, const std::string& network) {
  std::vector<IpPrefix> subnets;
  if (ipam::Store* durable = host.durable_if_present()) {
    durable->read(
        [&](const ipam::Transaction& store) { subnets = ipam::find_chosen_subnets(store, network); });
    if (!subnets.empty()) return subnets;
  }
  host.durable().write([&](ipam::Transaction& store) {
    subnets = ipam::find_chosen_subnets(store, network);
    if (!subnets.empty()) return;
    subnets = {ipam::choose_ipv4_subnet(subnets_in_use(host, ipam::list_chosen_subnets(store)))};
    ipam::put_chosen_subnets(store, network, subnets);
  });
  return subnets;
}

cni::DelegateCall delegate_call(const AttachmentRequest& request, cni::Command command) {
  cni::DelegateCall call;
  call.command = command;
  call.container_id = request.key.container_id;
  call.netns = request.invocation->netns;
  call.ifname = request.key.ifname;
  for (const auto& [name, value] : request.invocation->args.values) {
    if (!call.args.empty()) call.args += ';';
    call.args += name + "=" + value;
  }
  call.path = request.invocation->path;
  return call;
}

nlohmann::json run_delegate(const AttachmentRequest& request, cni::Command command) {
  const std::string executable = cni::find_plugin(request.addressing.delegate, request.invocation->path);
  return cni::run_plugin(executable, delegate_call(request, command), request.invocation->config);
}

/// Asked for every candidate, not read once: the reference's containers end one after the other, and their files with them.
std::function<std::optional<std::string>(const IpAddress&)> reference_holder(
    const AttachmentRequest& request) {
  auto found = ReferenceLeases::open(request.addressing.data_directory, request.key.network);
  if (!found) return {};
  const auto leases = std::make_shared<ReferenceLeases>(std::move(*found));
  return [leases](const IpAddress& address) -> std::optional<std::string> {
    const auto lease = leases->find(address);
    if (!lease) return std::nullopt;
    return describe(*leases, *lease);
  };
}

}  // namespace

ipam::PoolConfig resolve_pool(Host& host, const AttachmentRequest& request) {
  const AddressingSpec& spec = request.addressing;
  ipam::PoolConfig pool;
  pool.id = ipam::pool_id(spec.data_directory, request.key.network);
  pool.network = request.key.network;
  pool.exclude = spec.exclude;
  for (const std::vector<ipam::RangeSpec>& set : spec.sets) {
    ipam::RangeSet ranges;
    for (const ipam::RangeSpec& range : set) ranges.push_back(ipam::resolve_range(range));
    pool.sets.push_back(std::move(ranges));
  }
  if (pool.sets.empty()) {
    for (const IpPrefix& subnet : chosen_subnets(host, request.key.network)) {
      pool.sets.push_back({ipam::resolve_range({subnet, {}, {}, {}})});
    }
  }
  ipam::validate(pool);
  return pool;
}

IpPrefix free_subnet(Host& host, const std::vector<IpPrefix>& also_in_use) {
  std::vector<IpPrefix> in_use = also_in_use;
  if (ipam::Store* durable = host.durable_if_present()) {
    durable->read([&](const ipam::Transaction& store) {
      for (const IpPrefix& chosen : ipam::list_chosen_subnets(store)) in_use.push_back(chosen);
    });
  }
  return ipam::choose_ipv4_subnet(subnets_in_use(host, std::move(in_use)));
}

ipam::AllocationRequest allocation_request(Host& host, const AttachmentRequest& request) {
  ipam::AllocationRequest allocation;
  allocation.owner = request.key;
  allocation.wanted = request.addressing.wanted;
  allocation.now_boot_nanoseconds = boot_nanoseconds();
  allocation.held_elsewhere = reference_holder(request);
  ipam::Store* durable = host.durable_if_present();
  if (durable == nullptr) return allocation;
  durable->read([&](const ipam::Transaction& store) {
    for (const ipam::ReservationRecord& reservation : ipam::list_reservations(store, request.key.network)) {
      const bool own = !request.container_name.empty() && reservation.name == request.container_name;
      auto& list = own ? allocation.reserved_for_owner : allocation.reserved_for_others;
      list.insert(list.end(), reservation.addresses.begin(), reservation.addresses.end());
    }
  });
  return allocation;
}

std::vector<ipam::LeaseRecord> lease_from_delegate(AttachmentRequest& request) {
  const nlohmann::json answer = run_delegate(request, cni::Command::kAdd);
  const cni::Result result = cni::Result::from_plugin(answer, request.invocation->cni_version);
  if (result.ips.empty()) {
    throw Error(ErrorCode::kDelegate, "the IPAM plugin " + request.addressing.delegate +
                                          " returned no address; check its configuration in network " +
                                          request.key.network);
  }
  std::vector<ipam::LeaseRecord> leases;
  for (const cni::ResultIp& ip : result.ips) leases.push_back({ip.address, ip.gateway, {}});
  request.addressing.routes = result.routes;
  request.addressing.dns = result.dns;
  return leases;
}

bool leases_through_interface(const cni::Invocation& invocation) {
  const auto ipam = invocation.config.find("ipam");
  return ipam != invocation.config.end() && ipam->is_object() && ipam->contains("type") &&
         ipam->at("type") == "dhcp";
}

void call_delegate(const AttachmentRequest& request, cni::Command command) {
  if (request.addressing.kind != Addressing::kDelegate || request.invocation == nullptr) return;
  run_delegate(request, command);
}

}  // namespace netctl::engine
