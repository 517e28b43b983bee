// The verbs that change something: add, del, check, gc.

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <functional>

#include "base/error.hpp"
#include "netctl/print.hpp"
#include "netctl/sources.hpp"
#include "netctl/table.hpp"
#include "netctl/verbs.hpp"
#include "plugins/engine/check.hpp"
#include "plugins/engine/gc.hpp"
#include "plugins/engine/host.hpp"
#include "plugins/engine/identity.hpp"
#include "plugins/frontdoor/chain.hpp"
#include "plugins/frontdoor/publish_option.hpp"

namespace netctl::cli {
namespace {

std::string random_id() {
  std::array<unsigned char, 6> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) < 0) throw_errno("make up a container id");
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string id;
  for (const unsigned char byte : bytes) {
    id += kHex[byte >> 4U];
    id += kHex[byte & 0xfU];
  }
  return id;
}

std::string netns_path(const std::string& target) {
  if (target.find_first_not_of("0123456789") == std::string::npos) return "/proc/" + target + "/ns/net";
  if (target.find('/') != std::string::npos) return target;
  return "/run/netns/" + target;
}

frontdoor::Endpoint endpoint_of(const AddOptions& options) {
  frontdoor::Endpoint endpoint;
  endpoint.container_id = options.container_id.empty() ? random_id() : options.container_id;
  endpoint.netns = netns_path(options.target);
  endpoint.ifname = options.ifname;
  endpoint.args = "IgnoreUnknown=1";
  if (!options.container_name.empty()) endpoint.args += ";K8S_POD_NAME=" + options.container_name;
  nlohmann::json ports = nlohmann::json::array();
  for (const std::string& text : options.publish) {
    for (nlohmann::json& mapping : frontdoor::parse_publish(text)) ports.push_back(std::move(mapping));
  }
  if (!ports.empty()) endpoint.runtime_config["portMappings"] = ports;
  if (!options.ips.empty()) endpoint.runtime_config["ips"] = options.ips;
  if (!options.mac.empty()) endpoint.runtime_config["mac"] = options.mac;
  return endpoint;
}

/// The attachments that a user means by an id, the beginning of one, a name, a PID, or a namespace.
std::vector<ipam::AttachmentRecord> find_attachments(const std::optional<std::string>& network,
                                                     const std::string& target) {
  std::vector<ipam::AttachmentRecord> found;
  for (AttachmentRow& row : list_attachments(network)) {
    const ipam::AttachmentRecord& record = row.record;
    const bool meant = is_called(record, target) || record.netns_path == netns_path(target);
    if (meant) found.push_back(std::move(row.record));
  }
  const auto exact = [&target](const ipam::AttachmentRecord& record) {
    return record.key.container_id == target;
  };
  if (std::any_of(found.begin(), found.end(), exact)) {
    found.erase(std::remove_if(found.begin(), found.end(), std::not_fn(exact)), found.end());
  }
  for (const ipam::AttachmentRecord& record : found) {
    if (record.key.container_id == found.front().key.container_id) continue;
    throw Error(ErrorCode::kInvalidConfig, target + " means more than one container; give more of the id");
  }
  return found;
}

[[noreturn]] void throw_nothing_found(const std::string& target) {
  throw Error(ErrorCode::kUnknownContainer, "no attachment belongs to " + target + "; see `netctl ps`");
}

nlohmann::json gc_json(const engine::GcReport& report) {
  return {{"attachments", report.attachments},
          {"links", report.links},
          {"elements", report.elements},
          {"networks", report.networks},
          {"problems", report.problems}};
}

}  // namespace

void add(const Output& output, const AddOptions& options) {
  const frontdoor::NetworkConf network = frontdoor::find_network_conf(options.network);
  const frontdoor::Endpoint endpoint = endpoint_of(options);
  const nlohmann::json result = frontdoor::add_list(network, endpoint);
  if (output.json) {
    print_json({{"containerID", endpoint.container_id}, {"result", result}});
    return;
  }
  std::vector<std::string> addresses;
  for (const nlohmann::json& ip : result.value("ips", nlohmann::json::array()))
    addresses.push_back(ip.at("address"));
  print(render({"CONTAINER", "NETWORK", "INTERFACE", "ADDRESS"},
               {{endpoint.container_id, network.name, endpoint.ifname, join(addresses)}}));
}

void del(const std::string& network, const std::string& target, const std::optional<std::string>& ifname) {
  const frontdoor::NetworkConf conf = frontdoor::find_network_conf(network);
  for (const ipam::AttachmentRecord& record : find_attachments(network, target)) {
    if (ifname && record.key.ifname != *ifname) continue;
    frontdoor::Endpoint endpoint;
    endpoint.container_id = record.key.container_id;
    endpoint.ifname = record.key.ifname;
    endpoint.netns = record.netns_path;
    endpoint.args = "IgnoreUnknown=1";
    frontdoor::del_list(conf, endpoint, nullptr);
  }
}

void check(const Output& output, const std::optional<std::string>& network,
           const std::optional<std::string>& target) {
  std::vector<ipam::AttachmentRecord> records;
  if (target) {
    records = find_attachments(network, *target);
    if (records.empty()) throw_nothing_found(*target);
  } else {
    for (AttachmentRow& row : list_attachments(network)) records.push_back(std::move(row.record));
  }
  nlohmann::json findings = nlohmann::json::array();
  std::vector<std::vector<std::string>> rows;
  if (!records.empty()) {
    engine::Host host = engine::Host::open();
    for (const ipam::AttachmentRecord& record : records) {
      for (const std::string& finding : engine::find_drift(host, record)) {
        findings.push_back({{"network", record.key.network},
                            {"containerID", record.key.container_id},
                            {"ifname", record.key.ifname},
                            {"finding", finding}});
        rows.push_back({record.key.container_id.substr(0, 12), record.key.network, finding});
      }
    }
  }
  if (output.json) {
    print_json({{"checked", records.size()}, {"findings", findings}});
  } else if (!rows.empty()) {
    print(render({"CONTAINER", "NETWORK", "FINDING"}, rows));
  }
  if (!rows.empty()) {
    throw Error(ErrorCode::kDrift, std::to_string(rows.size()) + " finding(s) in " +
                                       std::to_string(records.size()) +
                                       " attachment(s); DEL and ADD of the container puts it right");
  }
}

void gc(const Output& output, const std::optional<std::string>& network) {
  engine::Host host = engine::Host::open();
  const engine::GcReport report = engine::collect_garbage(host, network);
  if (output.json) {
    print_json(gc_json(report));
  } else {
    print(render({"ATTACHMENTS", "LINKS", "RULES", "NETWORKS"},
                 {{std::to_string(report.attachments), std::to_string(report.links),
                   std::to_string(report.elements), std::to_string(report.networks)}}));
  }
  if (!report.problems.empty()) {
    throw Error(ErrorCode::kKernel, "not everything could be collected: " + join(report.problems, "; "));
  }
}

}  // namespace netctl::cli
