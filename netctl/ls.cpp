#include <algorithm>
#include <ctime>

#include "iptables/policy.hpp"
#include "netctl/print.hpp"
#include "netctl/shares.hpp"
#include "netctl/sources.hpp"
#include "netctl/table.hpp"
#include "netctl/verbs.hpp"
#include "plugins/engine/log.hpp"
#include "plugins/engine/ports.hpp"

namespace netctl::cli {
namespace {

constexpr std::size_t kShortId = 12;

std::vector<std::string> addresses_of(const ipam::AttachmentRecord& record) {
  std::vector<std::string> addresses;
  for (const ipam::LeaseRecord& lease : record.leases) addresses.push_back(lease.address.to_string());
  return addresses;
}

std::vector<std::string> ports_of(const ipam::AttachmentRecord& record) {
  std::vector<std::string> ports;
  for (const ipam::PortRecord& port : record.ports) {
    ports.push_back(engine::to_string(port) + "->" + std::to_string(port.container_port));
  }
  return ports;
}

/// A port on a host address of one family does not lead to the container's address of the other.
std::vector<IpAddress> reached_by(const ipam::PortRecord& port) {
  std::vector<IpAddress> targets;
  for (const IpAddress& target : port.targets) {
    if (!port.host_ip || port.host_ip->family() == target.family()) targets.push_back(target);
  }
  return targets;
}

nlohmann::json port_json(const ipam::PortRecord& port) {
  nlohmann::json targets = nlohmann::json::array();
  for (const IpAddress& target : reached_by(port)) targets.push_back(target.to_string());
  return {{"hostIP", port.host_ip ? port.host_ip->to_string() : ""},
          {"hostPort", port.host_port},
          {"containerPort", port.container_port},
          {"protocol", iptables::to_string(static_cast<iptables::Protocol>(port.protocol))},
          {"range", port.count},
          {"targets", targets}};
}

/// `all` is where those that share with it are looked for.
nlohmann::json attachment_json(const AttachmentRow& row, const std::vector<AttachmentRow>& all) {
  nlohmann::json ports = nlohmann::json::array();
  for (const ipam::PortRecord& port : row.record.ports) ports.push_back(port_json(port));
  return {{"network", row.record.key.network},
          {"containerID", row.record.key.container_id},
          {"ifname", row.record.key.ifname},
          {"name", row.record.container_name},
          {"aliases", aliases_of(row.record)},
          {"addresses", addresses_of(row.record)},
          {"ports", ports},
          {"mac", row.record.container_mac},
          {"hostInterface", row.record.host_ifname},
          {"bridge", row.record.bridge},
          {"netns", row.record.netns_path},
          {"created", row.record.created_wall_seconds},
          {"shares", shares_json(row)},
          {"sharedBy", shared_by_json(row, all)},
          {"warnings", warnings_of(row)},
          {"state", state_text(row)}};
}

nlohmann::json network_json(const NetworkRow& row) {
  return {{"name", row.name},
          {"driver", row.driver},
          {"subnets", row.subnets},
          {"bridge", row.bridge},
          {"containers", row.containers},
          {"leased", row.leased},
          {"size", row.size},
          {"file", row.file}};
}

std::string pool_text(const NetworkRow& row) {
  if (row.size == 0) return "";
  const std::string size = row.size == UINT64_MAX ? "2^64" : std::to_string(row.size);
  return std::to_string(row.leased) + "/" + size;
}

}  // namespace

void ls(const Output& output) {
  std::vector<std::string> complaints;
  const std::vector<NetworkRow> networks = list_networks(complaints);
  for (const std::string& complaint : complaints) engine::log_warning(complaint);
  if (output.json) {
    nlohmann::json list = nlohmann::json::array();
    for (const NetworkRow& row : networks) list.push_back(network_json(row));
    print_json({{"networks", list}});
    return;
  }
  std::vector<std::vector<std::string>> rows;
  for (const NetworkRow& row : networks) {
    rows.push_back({row.name, row.driver, join(row.subnets), row.bridge, std::to_string(row.containers),
                    pool_text(row)});
  }
  print(render({"NETWORK", "DRIVER", "SUBNET", "BRIDGE", "CONTAINERS", "POOL"}, rows));
}

void ps(const Output& output, const std::optional<std::string>& network) {
  const std::vector<AttachmentRow> all = list_attachments();
  std::vector<AttachmentRow> attachments;
  std::copy_if(all.begin(), all.end(), std::back_inserter(attachments),
               [&](const AttachmentRow& row) { return !network || row.record.key.network == *network; });
  if (output.json) {
    nlohmann::json list = nlohmann::json::array();
    for (const AttachmentRow& row : attachments) list.push_back(attachment_json(row, all));
    print_json({{"attachments", list}});
    return;
  }
  std::vector<std::vector<std::string>> rows;
  const std::int64_t now = ::time(nullptr);
  for (const AttachmentRow& row : attachments) {
    const ipam::AttachmentRecord& record = row.record;
    rows.push_back({record.key.container_id.substr(0, kShortId), record.container_name, record.key.network,
                    record.key.ifname, join(addresses_of(record)), join(ports_of(record)),
                    age_text(now - record.created_wall_seconds), state_text(row)});
  }
  std::vector<std::string> heads{"CONTAINER", "NAME",  "NETWORK", "INTERFACE",
                                 "ADDRESS",   "PORTS", "AGE",     "STATE"};
  add_shares_column(attachments, heads, rows);
  print(render(heads, rows));
}

void port(const Output& output, const std::optional<std::string>& container) {
  std::vector<std::vector<std::string>> rows;
  nlohmann::json list = nlohmann::json::array();
  for (const AttachmentRow& row : list_attachments()) {
    if (container && !is_called(row.record, *container)) continue;
    for (const ipam::PortRecord& published : row.record.ports) {
      const std::string id = row.record.key.container_id;
      nlohmann::json entry = port_json(published);
      entry["containerID"] = id;
      entry["name"] = row.record.container_name;
      list.push_back(std::move(entry));
      for (const IpAddress& target : reached_by(published)) {
        rows.push_back({id.substr(0, kShortId), row.record.container_name, engine::to_string(published),
                        target.to_string(), std::to_string(published.container_port)});
      }
    }
  }
  if (output.json) {
    print_json({{"ports", list}});
  } else {
    print(render({"CONTAINER", "NAME", "HOST", "ADDRESS", "PORT"}, rows));
  }
}

void inspect(const std::string& what) {
  std::vector<std::string> complaints;
  nlohmann::json attachments = nlohmann::json::array();
  const std::vector<AttachmentRow> all = list_attachments();
  for (const NetworkRow& row : list_networks(complaints)) {
    if (row.name != what) continue;
    for (const AttachmentRow& attachment : all) {
      if (attachment.record.key.network == what) attachments.push_back(attachment_json(attachment, all));
    }
    print_json({{"network", network_json(row)}, {"attachments", attachments}});
    return;
  }
  for (const AttachmentRow& row : all) {
    if (!is_called(row.record, what)) continue;
    nlohmann::json attachment = attachment_json(row, all);
    attachment["labels"] = row.record.labels;
    attachment["result"] = row.record.result;
    attachments.push_back(std::move(attachment));
  }
  if (attachments.empty()) {
    throw Error(ErrorCode::kInvalidConfig,
                "there is no network and no container called " + what + "; see `netctl ls` and `netctl ps`");
  }
  print_json({{"attachments", attachments}});
}

}  // namespace netctl::cli
