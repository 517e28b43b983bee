// Overlays as this host sees them: from its agent, or, when none runs, from the lease files.

#include <algorithm>
#include <ctime>

#include "base/error.hpp"
#include "ipam/store.hpp"
#include "netctl/agent_client.hpp"
#include "netctl/print.hpp"
#include "netctl/table.hpp"
#include "netctl/verbs.hpp"
#include "plugins/frontdoor/conf.hpp"
#include "plugins/overlay/control/lease.hpp"

namespace netctl::cli {
namespace {

using Json = nlohmann::json;

constexpr const char* kNoAgent = "netctl-agent does not run on this host";

std::vector<std::string> texts(const std::vector<IpPrefix>& prefixes) {
  std::vector<std::string> list;
  for (const IpPrefix& prefix : prefixes) list.push_back(prefix.to_string());
  return list;
}

/// In the agent's words. `trouble`: a sentence, or empty.
Json from_lease(const std::string& network) {
  Json json{{"network", network}, {"trouble", ""}, {"nodes", Json::array()}, {"blocks", Json::array()}};
  try {
    const auto membership = overlay::read_membership(ipam::Store::default_directory(), network);
    if (!membership) {
      json["trouble"] = "there is no lease on this host yet";
      return json;
    }
    const overlay::Lease& lease = membership->lease;
    json["source"] = lease.source;
    json["node"] = lease.node;
    json["mode"] = lease.mode == overlay::Mode::kL2 ? "l2" : "routed";
    json["vni"] = lease.vni;
    json["blocks"] = texts(lease.blocks);
    json["revision"] = lease.revision;
    json["confirmedAt"] = lease.confirmed_wall_seconds;
    json["trouble"] = lease.fenced;
    if (lease.source != "static" && lease.fenced.empty()) json["trouble"] = kNoAgent;
    for (const overlay::Node& node : membership->nodes) {
      json["nodes"].push_back({{"node", node.name},
                               {"vtep", node.vtep.to_string()},
                               {"blocks", texts(node.blocks)},
                               {"self", node.name == lease.node}});
    }
  } catch (const Error& error) {
    json["trouble"] = error.message();
  }
  return json;
}

/// Every overlay of the configuration directory, or the one of that name.
Json overlays(const std::optional<std::string>& network) {
  const auto agent = ask_agent("GET", "/v1/status");
  const Json tended = agent ? agent->at("networks") : Json::array();
  Json list = Json::array();
  std::vector<std::string> complaints;
  for (const frontdoor::NetworkConf& conf : frontdoor::load_all(frontdoor::conf_directory(), complaints)) {
    if (conf.driver() != "overlay" || (network && conf.name != *network)) continue;
    const auto found = std::find_if(tended.begin(), tended.end(),
                                    [&conf](const Json& each) { return each.at("network") == conf.name; });
    list.push_back(found != tended.end() ? *found : from_lease(conf.name));
    list.back()["agent"] = found != tended.end();
  }
  if (network && list.empty()) {
    throw Error(ErrorCode::kInvalidConfig, "there is no overlay called " + *network + "; see `netctl ls`");
  }
  return list;
}

std::string alive_text(const Json& node) {
  if (node.value("self", false)) return "this node";
  if (!node.contains("alive")) return "unknown";
  return node.at("alive").get<bool>() ? "alive" : "not heard of";
}

}  // namespace

void overlay_status(const Output& output, const std::optional<std::string>& network) {
  const Json list = overlays(network);
  if (output.json) {
    print_json({{"overlays", list}});
    return;
  }
  std::vector<std::vector<std::string>> rows;
  for (const Json& each : list) {
    const std::int64_t confirmed = each.value("confirmedAt", std::int64_t{0});
    rows.push_back(
        {each.at("network"), each.value("source", ""), each.value("mode", ""), each.value("node", ""),
         join(each.value("blocks", std::vector<std::string>{})), std::to_string(each.at("nodes").size()),
         confirmed == 0 ? "" : age_text(::time(nullptr) - confirmed),
         each.at("trouble").get<std::string>().empty() ? "ok" : each.at("trouble").get<std::string>()});
  }
  print(render({"NETWORK", "SOURCE", "MODE", "NODE", "BLOCKS", "NODES", "CONFIRMED", "STATE"}, rows));
}

void overlay_sync(const std::optional<std::string>& network) {
  for (const Json& each : overlays(network)) {
    if (!each.at("agent").get<bool>()) {
      if (each.value("source", "") == "static") continue;
      throw Error(ErrorCode::kTryAgainLater,
                  std::string(kNoAgent) + ": start it; what it told last is in force meanwhile");
    }
    (void)ask_agent("POST", "/v1/sync/" + each.at("network").get<std::string>());
  }
}

void node_ls(const Output& output, const std::optional<std::string>& network) {
  const Json list = overlays(network);
  if (output.json) {
    Json nodes = Json::array();
    for (const Json& each : list) {
      for (Json node : each.at("nodes")) {
        node["network"] = each.at("network");
        nodes.push_back(std::move(node));
      }
    }
    print_json({{"nodes", nodes}});
    return;
  }
  std::vector<std::vector<std::string>> rows;
  for (const Json& each : list) {
    for (const Json& node : each.at("nodes")) {
      rows.push_back({each.at("network"), node.at("node"), node.at("vtep"),
                      join(node.at("blocks").get<std::vector<std::string>>()), alive_text(node)});
    }
  }
  print(render({"NETWORK", "NODE", "VTEP", "BLOCKS", "STATE"}, rows));
}

void node_rm(const std::string& network, const std::string& node) {
  if (!ask_agent("POST", "/v1/remove/" + network + "/" + node)) {
    throw Error(ErrorCode::kTryAgainLater,
                std::string(kNoAgent) + ", and only it reaches the source; start it");
  }
}

}  // namespace netctl::cli
