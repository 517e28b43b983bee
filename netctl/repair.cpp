// What networks share on this host, made anew as it should be.

#include <algorithm>

#include "base/error.hpp"
#include "netctl/print.hpp"
#include "netctl/verbs.hpp"
#include "plugins/engine/log.hpp"
#include "plugins/engine/network.hpp"
#include "plugins/frontdoor/conf.hpp"
#include "plugins/overlay/overlay.hpp"

namespace netctl::cli {
namespace {

std::vector<ipam::NetworkRecord> networks_to_repair(engine::Host& host,
                                                    const std::optional<std::string>& network) {
  std::vector<ipam::NetworkRecord> records;
  host.live().read([&](const ipam::Transaction& store) { records = store.list_networks(); });
  if (!network) return records;
  std::erase_if(records, [&network](const ipam::NetworkRecord& record) { return record.name != *network; });
  if (records.empty()) {
    throw Error(ErrorCode::kInvalidConfig,
                "no network " + *network + " is set up on this host: `netctl ls` lists them");
  }
  return records;
}

/// An overlay whose configuration lists the nodes gets its lease anew from there.
void repair_one(engine::Host& host, const ipam::NetworkRecord& record,
                const std::vector<frontdoor::NetworkConf>& configurations) {
  const auto conf = std::find_if(configurations.begin(), configurations.end(),
                                 [&record](const auto& each) { return each.name == record.name; });
  if (record.driver == "overlay" && conf != configurations.end() && conf->driver() == "overlay") {
    overlay::repair(host, record.name, conf->plugins.front());
  } else {
    engine::repair_network(host, record.name);
  }
}

}  // namespace

void repair(const Output& output, const std::optional<std::string>& network) {
  engine::Host host = engine::Host::open();
  std::vector<std::string> complaints;
  const std::vector<frontdoor::NetworkConf> configurations =
      frontdoor::load_all(frontdoor::conf_directory(), complaints);
  nlohmann::json repaired = nlohmann::json::array();
  std::vector<std::string> problems;
  for (const ipam::NetworkRecord& record : networks_to_repair(host, network)) {
    try {
      repair_one(host, record, configurations);
      repaired.push_back(record.name);
    } catch (const Error& error) {
      problems.push_back(record.name + ": " + error.message());
    }
  }
  if (output.json) print_json({{"networks", repaired}});
  if (problems.empty()) return;
  std::string all;
  for (const std::string& problem : problems) all += (all.empty() ? "" : "; ") + problem;
  throw Error(ErrorCode::kKernel, "not everything could be repaired: " + all);
}

}  // namespace netctl::cli
