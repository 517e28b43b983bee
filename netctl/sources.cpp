#include "netctl/sources.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "ipam/documents.hpp"
#include "ipam/reservations.hpp"
#include "plugins/cni/config_reader.hpp"
#include "plugins/engine/host.hpp"
#include "plugins/engine/ipam_config.hpp"
#include "plugins/engine/sharing.hpp"

namespace netctl::cli {
namespace {

std::optional<ipam::Store> open_live() {
  const netlink::Socket route = netlink::Socket::open(netlink::Bus::kRoute);
  return ipam::Store::open_live_if_present(ipam::Store::default_directory(), route.netns_cookie());
}

std::vector<std::vector<ipam::RangeSpec>> chosen_sets(const std::string& network) {
  std::vector<std::vector<ipam::RangeSpec>> sets;
  const auto durable = ipam::Store::open_durable_if_present(ipam::Store::default_directory());
  if (!durable) return sets;
  durable->read([&](const ipam::Transaction& store) {
    for (const IpPrefix& subnet : ipam::find_chosen_subnets(store, network))
      sets.push_back({{subnet, {}, {}, {}}});
  });
  return sets;
}

std::optional<ipam::PoolConfig> configured_pool(const frontdoor::NetworkConf& conf) {
  cni::Invocation invocation;
  invocation.config = conf.plugins.front();
  invocation.cni_version = conf.cni_version;
  const engine::AddressingSpec spec = engine::read_addressing(invocation, {});
  if (spec.kind != engine::Addressing::kPool) return std::nullopt;
  ipam::PoolConfig pool;
  pool.id = ipam::pool_id(spec.data_directory, conf.name);
  pool.network = conf.name;
  pool.exclude = spec.exclude;
  for (const auto& set : spec.sets.empty() ? chosen_sets(conf.name) : spec.sets) {
    pool.sets.emplace_back();
    for (const ipam::RangeSpec& range : set) pool.sets.back().push_back(ipam::resolve_range(range));
  }
  return pool;
}

NetworkRow row_of(const frontdoor::NetworkConf& conf, const ipam::Store* live,
                  std::vector<std::string>& complaints) {
  NetworkRow row;
  row.name = conf.name;
  row.driver = conf.driver();
  row.file = conf.file;
  row.bridge = conf.plugins.front().value("bridge", row.driver == "bridge" ? "cni0" : "");
  try {
    const auto pool = configured_pool(conf);
    if (!pool) return row;
    for (const ipam::RangeSet& set : pool->sets) {
      for (const ipam::Range& range : set) row.subnets.push_back(range.subnet.network().to_string());
    }
    const auto count = [&](const ipam::Transaction& store) {
      const ipam::Utilisation use = ipam::utilisation(store, *pool);
      row.leased = use.leased;
      row.size = use.size;
    };
    if (live != nullptr) live->read(count);
  } catch (const Error& error) {
    complaints.push_back(conf.file + ": " + error.message());
  }
  return row;
}

/// Networks without a container have no other record.
void add_docker_networks(std::vector<NetworkRow>& rows) {
  const auto durable = ipam::Store::open_durable_if_present(ipam::Store::default_directory());
  if (!durable) return;
  durable->read([&rows](const ipam::Transaction& store) {
    for (const auto& [id, network] : ipam::list_documents(store, ipam::kDockerNetworks)) {
      NetworkRow row;
      row.name = network.at("name").get<std::string>();
      row.driver = "bridge";
      row.bridge = network.at("configuration").at("bridge").get<std::string>();
      for (const nlohmann::json& subnet : network.at("subnets"))
        row.subnets.push_back(subnet.at("subnet").get<std::string>());
      rows.push_back(std::move(row));
    }
  });
}

void add_records(const ipam::Store& live, std::vector<NetworkRow>& rows) {
  live.read([&](const ipam::Transaction& store) {
    for (NetworkRow& row : rows) row.containers = store.list_attachments(row.name).size();
    for (const ipam::NetworkRecord& record : store.list_networks()) {
      auto row = std::find_if(rows.begin(), rows.end(),
                              [&](const NetworkRow& other) { return other.name == record.name; });
      if (row == rows.end()) {
        rows.push_back({record.name, record.driver, record.subnets, record.bridge, 0, 0, 0, ""});
        row = rows.end() - 1;
        for (const std::string& pool : record.pools) row->leased += ipam::leased_count(store, pool);
      }
      if (!record.bridge.empty()) row->bridge = record.bridge;
      if (row->subnets.empty()) row->subnets = record.subnets;
      row->containers = store.list_attachments(record.name).size();
    }
  });
}

}  // namespace

std::vector<AttachmentRow> list_attachments(const std::optional<std::string>& network) {
  std::vector<AttachmentRow> rows;
  if (!open_live()) return rows;
  engine::Host host = engine::Host::open();
  std::vector<ipam::AttachmentRecord> records;
  host.live().read([&](const ipam::Transaction& store) { records = store.list_attachments(network); });
  for (ipam::AttachmentRecord& record : records) {
    AttachmentRow row;
    row.liveness = engine::examine(host, record);
    row.unfinished = engine::is_unfinished(record);
    row.record = std::move(record);
    rows.push_back(std::move(row));
  }
  std::sort(rows.begin(), rows.end(), [](const AttachmentRow& one, const AttachmentRow& other) {
    return one.record.created_boot_nanoseconds < other.record.created_boot_nanoseconds;
  });
  return rows;
}

std::vector<NetworkRow> list_networks(std::vector<std::string>& complaints) {
  std::vector<NetworkRow> rows;
  const auto live = open_live();
  for (const frontdoor::NetworkConf& conf : frontdoor::load_all(frontdoor::conf_directory(), complaints)) {
    rows.push_back(row_of(conf, live ? &*live : nullptr, complaints));
  }
  add_docker_networks(rows);
  if (live) add_records(*live, rows);
  return rows;
}

std::vector<std::string> aliases_of(const ipam::AttachmentRecord& record) {
  return record.extra.value("aliases", std::vector<std::string>{});
}

bool is_called(const ipam::AttachmentRecord& record, const std::string& name) {
  const std::vector<std::string> aliases = aliases_of(record);
  return record.key.container_id.rfind(name, 0) == 0 || record.container_name == name ||
         std::find(aliases.begin(), aliases.end(), name) != aliases.end();
}

std::string state_text(const AttachmentRow& row) {
  if (row.unfinished) return "unfinished";
  return engine::left_parts(row.record).empty() ? engine::to_string(row.liveness) : "kept";
}

}  // namespace netctl::cli
