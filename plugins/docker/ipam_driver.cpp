#include "plugins/docker/ipam_driver.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "ipam/documents.hpp"
#include "ipam/pool.hpp"
#include "ipam/reservations.hpp"
#include "plugins/docker/endpoint_records.hpp"
#include "plugins/docker/network_definition.hpp"
#include "plugins/engine/addressing.hpp"

namespace netctl::docker {
namespace {

constexpr const char* kKind = "docker-pool";
constexpr const char* kSpace = "netctl";
constexpr const char* kAddressType = "RequestAddressType";
constexpr const char* kGatewayType = "com.docker.network.gateway";
constexpr const char* kMacOption = "com.docker.network.endpoint.macaddress";

nlohmann::json done() { return nlohmann::json::object(); }

struct Pool {
  std::string id;
  IpPrefix subnet;
  std::optional<IpPrefix> range;  ///< of --ip-range
  std::optional<IpAddress> gateway;
  std::vector<IpAddress> pinned;  ///< of --aux-address
  bool released = false;

  [[nodiscard]] std::string remembered_as() const { return std::string(kKind) + " " + id; }

  [[nodiscard]] nlohmann::json to_json() const {
    nlohmann::json list = nlohmann::json::array();
    for (const IpAddress& address : pinned) list.push_back(address.to_string());
    nlohmann::json json{{"subnet", subnet.to_string()}, {"pinned", list}, {"released", released}};
    if (range) json["range"] = range->to_string();
    if (gateway) json["gateway"] = gateway->to_string();
    return json;
  }
  [[nodiscard]] static Pool from_json(const std::string& id, const nlohmann::json& json) {
    const cni::ConfigReader reader(json, "the record of pool " + id);
    Pool pool{id,   reader.prefix("subnet").value(), reader.prefix("range"), reader.address("gateway"), {},
              false};
    for (const std::string& text : reader.texts("pinned"))
      pool.pinned.push_back(IpAddress::parse(text).value());
    pool.released = reader.boolean("released").value_or(false);
    return pool;
  }
};

void put(ipam::Transaction& durable, const Pool& pool) {
  ipam::put_document(durable, kKind, pool.id, pool.to_json());
}

void erase(ipam::Transaction& durable, const Pool& pool) {
  ipam::erase_document(durable, kKind, pool.id);
  ipam::erase_chosen_subnets(durable, pool.remembered_as());
}

std::vector<Pool> list_pools(const ipam::Transaction& durable) {
  std::vector<Pool> pools;
  for (const auto& [id, json] : ipam::list_documents(durable, kKind))
    pools.push_back(Pool::from_json(id, json));
  return pools;
}

std::optional<Pool> find_pool(engine::Host& host, const std::string& id) {
  std::optional<nlohmann::json> json;
  if (ipam::Store* durable = host.durable_if_present()) {
    durable->read([&](const ipam::Transaction& store) { json = ipam::find_document(store, kKind, id); });
  }
  return json ? std::optional(Pool::from_json(id, *json)) : std::nullopt;
}

Pool must_find_pool(engine::Host& host, const std::string& id) {
  if (auto pool = find_pool(host, id)) return std::move(*pool);
  throw Error(
      ErrorCode::kInvalidConfig,
      "the pool " + id + " is not known; remove the network with `docker network rm`, and create it again");
}

/// One set with one range; what is pinned is never leased.
ipam::PoolConfig configuration_of(const Pool& pool) {
  ipam::PoolConfig configuration;
  configuration.id = ipam::pool_id("docker", pool.id);
  configuration.network = pool.id;
  ipam::RangeSpec spec{pool.subnet, std::nullopt, std::nullopt, pool.gateway};
  ipam::Range range = ipam::resolve_range(spec);
  if (pool.range) {
    const ipam::Range inner = ipam::resolve_range({*pool.range, {}, {}, {}});
    range.first = inner.first;
    range.last = inner.last;
  }
  configuration.sets = {{range}};
  for (const IpAddress& address : pool.pinned) {
    configuration.exclude.push_back({address, static_cast<std::uint8_t>(address.bits())});
  }
  return configuration;
}

Pool read_pool(engine::Host& host, const cni::ConfigReader& call) {
  Pool pool;
  const auto options = call.object("Options");
  if (options && !options->json().empty()) {
    call.complain("Options", "holds " + options->json().begin().key() + ", which is not offered");
  }
  if (!call.text("AddressSpace").value_or("").empty() && call.text("AddressSpace") != kSpace) {
    call.complain("AddressSpace", std::string("must be ") + kSpace);
  }
  const auto subnet = prefix_if_any(call, "Pool");
  pool.range = prefix_if_any(call, "SubPool");
  if (!subnet && pool.range) call.complain("SubPool", "needs a pool around it: name the subnet");
  if (!subnet && call.boolean("V6").value_or(false)) {
    call.complain("Pool", "an IPv6 subnet is not chosen automatically; name one with --subnet");
  }
  pool.subnet = subnet ? subnet->network() : engine::free_subnet(host, {});
  if (pool.range && (pool.range->length < pool.subnet.length || !pool.subnet.contains(pool.range->address))) {
    call.complain("SubPool", "is no part of " + pool.subnet.to_string());
  }
  (void)configuration_of(pool);
  pool.id = std::string(kSpace) + "/" + pool.subnet.to_string();
  if (pool.range) pool.id += "/" + pool.range->to_string();
  return pool;
}

std::optional<NetworkDefinition> network_in(const ipam::Transaction& durable, const Pool& pool) {
  for (NetworkDefinition& network : list_definitions(durable)) {
    const bool has_pool = std::any_of(network.subnets.begin(), network.subnets.end(),
                                      [&pool](const Subnet& subnet) { return subnet.subnet == pool.subnet; });
    if (has_pool) return std::move(network);
  }
  return std::nullopt;
}

/// nullopt: a network of another driver has the pool, or none yet.
std::optional<NetworkDefinition> network_of(engine::Host& host, const Pool& pool) {
  std::optional<NetworkDefinition> network;
  host.durable().read([&](const ipam::Transaction& store) { network = network_in(store, pool); });
  return network;
}

bool is_in_use(const ipam::Transaction& durable, const Pool& pool) {
  return network_in(durable, pool).has_value();
}

bool is_an_endpoints(const std::vector<EndpointRecord>& endpoints, const IpAddress& address) {
  return std::any_of(endpoints.begin(), endpoints.end(),
                     [&address](const EndpointRecord& endpoint) { return has_address(endpoint, address); });
}

/// Of a pool whose network is ours, too.
std::vector<EndpointRecord> endpoints_in(const ipam::Transaction& live, const NetworkDefinition& network) {
  std::vector<EndpointRecord> endpoints = list_endpoints(live);
  std::erase_if(endpoints,
                [&network](const EndpointRecord& endpoint) { return endpoint.network != network.id; });
  return endpoints;
}

void release_lease(ipam::Transaction& live, const Pool& pool, const IpAddress& address) {
  const ipam::PoolId id = configuration_of(pool).id;
  const auto holder = ipam::find_holder(live, id, address);
  if (!holder) return;
  ipam::LeaseRecord lease;
  lease.address = {address, pool.subnet.length};
  lease.pool = id;
  ipam::release(live, {lease}, *holder, engine::boot_nanoseconds());
}

/// Leases of a pool that is given back, or that no endpoint came for.
void release_leases(engine::Host& host, const Pool& pool, const std::optional<NetworkDefinition>& network) {
  host.live().write([&](ipam::Transaction& store) {
    std::vector<EndpointRecord> endpoints;
    if (network) endpoints = endpoints_in(store, *network);
    for (const ipam::HeldLease& held : ipam::list_leases(store, configuration_of(pool).id)) {
      if (!is_an_endpoints(endpoints, held.address)) release_lease(store, pool, held.address);
    }
  });
}

/// A request that comes again (its answer was lost) finds the pool as it left it: without a gateway.
void refuse_if_taken(const Pool& wanted, const Pool& present) {
  if (!wanted.subnet.overlaps(present.subnet)) return;
  if (wanted.id == present.id && (!present.gateway || present.released)) return;
  throw Error(ErrorCode::kSubnetUnavailable,
              "the subnet " + wanted.subnet.to_string() + " overlaps " + present.subnet.to_string() +
                  ", which another network of Docker's has; choose another one, or remove that network");
}

nlohmann::json with_length(const Pool& pool, const IpAddress& address) {
  return {{"Address", IpPrefix{address, pool.subnet.length}.to_string()}, {"Data", nlohmann::json::object()}};
}

std::optional<IpAddress> wanted_address(const cni::ConfigReader& call, const Pool& pool) {
  const auto address = call.address("Address");
  if (address && !pool.subnet.contains(*address))
    call.complain("Address", "is not in " + pool.subnet.to_string());
  return address;
}

/// Written down before it is answered. The same one again is success.
nlohmann::json pin(engine::Host& host, Pool pool, const IpAddress& address, bool as_gateway) {
  std::optional<ipam::AttachmentKey> holder;
  host.live().read([&](const ipam::Transaction& store) {
    holder = ipam::find_holder(store, configuration_of(pool).id, address);
  });
  if (holder) {
    throw Error(ErrorCode::kAddressTaken, address.to_string() + " is a container's; choose another address");
  }
  if (as_gateway) pool.gateway = address;
  if (!as_gateway && std::find(pool.pinned.begin(), pool.pinned.end(), address) == pool.pinned.end()) {
    pool.pinned.push_back(address);
  }
  host.durable().write([&](ipam::Transaction& store) { put(store, pool); });
  return with_length(pool, address);
}

/// The answer to an earlier request of the same endpoint, which was lost: its address is no endpoint's yet. Without our
/// network driver nobody can tell a request that comes again from another container with the same hardware address.
std::optional<IpAddress> lost_answer(const ipam::Transaction& live,
                                     const std::vector<ipam::HeldLease>& leases,
                                     const std::optional<NetworkDefinition>& network,
                                     const ipam::AllocationRequest& request) {
  if (!network) return std::nullopt;
  const std::vector<EndpointRecord> endpoints = endpoints_in(live, *network);
  for (const ipam::HeldLease& held : leases) {
    const bool is_wanted = request.wanted.empty() || request.wanted.front() == held.address;
    if (held.owner == request.owner && is_wanted && !is_an_endpoints(endpoints, held.address))
      return held.address;
  }
  return std::nullopt;
}

nlohmann::json lease(engine::Host& host, const Pool& pool, const std::string& mac,
                     const std::optional<IpAddress>& wanted) {
  const ipam::PoolConfig configuration = configuration_of(pool);
  const auto network = network_of(host, pool);
  ipam::AllocationRequest request;
  request.owner = {pool.id, "docker", mac};
  if (wanted) request.wanted = {*wanted};
  request.now_boot_nanoseconds = engine::boot_nanoseconds();
  std::optional<IpAddress> address;
  host.live().write([&](ipam::Transaction& store) {
    address = lost_answer(store, ipam::list_leases(store, configuration.id), network, request);
    if (address) return;
    const auto nobody_is_dead = [](const ipam::AttachmentKey&) { return false; };
    address = ipam::allocate(store, configuration, request, nobody_is_dead).front().address.address;
  });
  return with_length(pool, *address);
}

}  // namespace

nlohmann::json ipam_capabilities(const nlohmann::json&) { return {{"RequiresMACAddress", true}}; }

nlohmann::json address_spaces(const nlohmann::json&) {
  return {{"LocalDefaultAddressSpace", kSpace}, {"GlobalDefaultAddressSpace", kSpace}};
}

nlohmann::json request_pool(const nlohmann::json& document) {
  engine::Host host = engine::Host::open();
  const Pool pool = read_pool(host, cni::ConfigReader(document, "RequestPool"));
  host.durable().write([&](ipam::Transaction& store) {
    for (const Pool& present : list_pools(store)) refuse_if_taken(pool, present);
    put(store, pool);
    ipam::put_chosen_subnets(store, pool.remembered_as(), {pool.subnet});
  });
  return {{"PoolID", pool.id}, {"Pool", pool.subnet.to_string()}, {"Data", nlohmann::json::object()}};
}

nlohmann::json release_pool(const nlohmann::json& document) {
  engine::Host host = engine::Host::open();
  auto pool = find_pool(host, required(cni::ConfigReader(document, "ReleasePool"), "PoolID"));
  if (!pool) return done();
  pool->released = true;
  host.durable().write([&](ipam::Transaction& store) { put(store, *pool); });
  forget_released_pools(host);
  return done();
}

void forget_released_pools(engine::Host& host) {
  std::vector<Pool> gone;
  host.durable().read([&](const ipam::Transaction& store) {
    for (Pool& pool : list_pools(store)) {
      if (pool.released && !is_in_use(store, pool)) gone.push_back(std::move(pool));
    }
  });
  for (const Pool& pool : gone) {
    release_leases(host, pool, std::nullopt);
    host.durable().write([&](ipam::Transaction& store) { erase(store, pool); });
  }
}

void forget_unclaimed_leases(engine::Host& host) {
  ipam::Store* durable = host.durable_if_present();
  if (durable == nullptr) return;
  std::vector<std::pair<Pool, NetworkDefinition>> used;
  durable->read([&](const ipam::Transaction& store) {
    for (const Pool& pool : list_pools(store)) {
      if (auto network = network_in(store, pool)) used.emplace_back(pool, std::move(*network));
    }
  });
  for (const auto& [pool, network] : used) release_leases(host, pool, network);
}

nlohmann::json request_address(const nlohmann::json& document) {
  const cni::ConfigReader call(document, "RequestAddress");
  engine::Host host = engine::Host::open();
  const Pool pool = must_find_pool(host, required(call, "PoolID"));
  const auto wanted = wanted_address(call, pool);
  const auto options = call.object("Options");
  const bool for_gateway = options && options->text(kAddressType).value_or("") == kGatewayType;
  const std::string mac = options ? options->text(kMacOption).value_or("") : "";
  if (for_gateway) {
    const auto first = configuration_of(pool).sets.front().front().gateway;
    if (!wanted && !first) call.complain("PoolID", "has no room for a gateway");
    return pin(host, pool, wanted ? *wanted : *first, true);
  }
  if (mac.empty() && wanted) return pin(host, pool, *wanted, false);
  if (mac.empty()) call.complain("Options", std::string("lack ") + kMacOption + ", or an address is missing");
  return lease(host, pool, mac, wanted);
}

nlohmann::json release_address(const nlohmann::json& document) {
  const cni::ConfigReader call(document, "ReleaseAddress");
  engine::Host host = engine::Host::open();
  auto pool = find_pool(host, required(call, "PoolID"));
  const auto address = call.address("Address");
  if (!address) call.complain("Address", "is missing");
  if (!pool) return done();
  bool was_leased = false;
  host.live().write([&](ipam::Transaction& store) {
    was_leased = ipam::find_holder(store, configuration_of(*pool).id, *address).has_value();
    release_lease(store, *pool, *address);
  });
  if (was_leased) return done();
  host.durable().write([&](ipam::Transaction& store) {
    if (is_in_use(store, *pool)) return;  // gateway and others go with the network
    if (pool->gateway == address) pool->gateway.reset();
    pool->pinned.erase(std::remove(pool->pinned.begin(), pool->pinned.end(), *address), pool->pinned.end());
    put(store, *pool);
  });
  return done();
}

}  // namespace netctl::docker
