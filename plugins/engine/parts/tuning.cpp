#include "plugins/engine/parts/tuning.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "netlink/link.hpp"
#include "netlink/sysctl.hpp"

namespace netctl::engine {
namespace {

// The state: {"sysctls": [{"path", "before", "set"}], "link": {SETTING: {"before", "set"}}, "applied": bool}.
// Until `applied`, "set" is what was asked for; afterwards what the kernel made of it ("1 2" comes back with a tab).

/// One setting of a link: how it is read, and how it is written.
struct LinkSetting {
  const char* name;
  nlohmann::json (*read)(const netlink::Link& link);
  netlink::Request (*write)(std::uint32_t index, const nlohmann::json& value);
};

netlink::Request write_mac(std::uint32_t index, const nlohmann::json& value) {
  const auto mac = MacAddress::parse(value.get<std::string>());
  if (!mac) throw Error(ErrorCode::kIo, "the record holds no hardware address", value.dump());
  return netlink::set_mac(index, *mac);
}

// In the order in which they are set. The names are the configuration's keys.
constexpr LinkSetting kSettings[] = {
    {"mac",
     [](const netlink::Link& link) {
       return link.mac ? nlohmann::json(link.mac->to_string()) : nlohmann::json();
     },
     write_mac},
    {"mtu", [](const netlink::Link& link) { return nlohmann::json(link.mtu_bytes); },
     [](std::uint32_t index, const nlohmann::json& value) {
       return netlink::set_mtu(index, value.get<std::uint32_t>());
     }},
    {"promisc", [](const netlink::Link& link) { return nlohmann::json(link.promiscuous); },
     [](std::uint32_t index, const nlohmann::json& value) {
       return netlink::set_promiscuous(index, value.get<bool>());
     }},
    {"allmulti", [](const netlink::Link& link) { return nlohmann::json(link.all_multicast); },
     [](std::uint32_t index, const nlohmann::json& value) {
       return netlink::set_all_multicast(index, value.get<bool>());
     }},
    {"txQLen", [](const netlink::Link& link) { return nlohmann::json(link.tx_queue_length); },
     [](std::uint32_t index, const nlohmann::json& value) {
       return netlink::set_tx_queue_length(index, value.get<std::uint32_t>());
     }},
};

nlohmann::json wanted_settings(const TuningRequest& request) {
  nlohmann::json wanted = nlohmann::json::object();
  if (request.mac) wanted["mac"] = request.mac->to_string();
  if (request.mtu_bytes) wanted["mtu"] = *request.mtu_bytes;
  if (request.promiscuous) wanted["promisc"] = *request.promiscuous;
  if (request.all_multicast) wanted["allmulti"] = *request.all_multicast;
  if (request.tx_queue_length) wanted["txQLen"] = *request.tx_queue_length;
  return wanted;
}

std::string dotted(const std::string& path, const std::string& ifname) {
  return "net/" + tuned_path(path, ifname);
}

/// White space between numbers is the kernel's to choose.
std::string comparable(const std::string& value) {
  std::string plain;
  for (const char c : value) {
    const bool space = c == ' ' || c == '\t' || c == '\n';
    if (!space) {
      plain += c;
    } else if (!plain.empty() && plain.back() != ' ') {
      plain += ' ';
    }
  }
  if (!plain.empty() && plain.back() == ' ') plain.pop_back();
  return plain;
}

netlink::Link must_find(Container& container, const std::string& ifname) {
  if (auto link = netlink::find_link(container.route, ifname)) return std::move(*link);
  throw Error(ErrorCode::kInvalidConfig, "the container has no interface " + ifname +
                                             "; chain tuning behind the plugin that makes the interface");
}

nlohmann::json prepare(Container& container, const TuningRequest& request) {
  nlohmann::json state = {{"sysctls", nlohmann::json::array()}, {"link", nlohmann::json::object()}};
  if (request.changes_link()) {
    const netlink::Link link = must_find(container, request.key.ifname);
    const nlohmann::json wanted = wanted_settings(request);
    for (const LinkSetting& setting : kSettings) {
      if (!wanted.contains(setting.name)) continue;
      state["link"][setting.name] = {{"before", setting.read(link)}, {"set", wanted[setting.name]}};
    }
  }
  container.netns.run([&] {
    for (const auto& [path, value] : request.sysctls) {
      const auto before = netlink::read_sysctl(tuned_path(path, request.key.ifname));
      if (!before) {
        throw Error(ErrorCode::kInvalidConfig,
                    "the container's network namespace has no sysctl " + dotted(path, request.key.ifname) +
                        "; correct its name, or load the kernel module that brings it");
      }
      state["sysctls"].push_back({{"path", path}, {"before", *before}, {"set", value}});
    }
  });
  return state;
}

void set_sysctl(const std::string& path, const std::string& value) {
  try {
    netlink::write_sysctl(path, value);
  } catch (const Error& error) {
    if (error.sys_errno() != EINVAL && error.sys_errno() != ERANGE && error.sys_errno() != EACCES) throw;
    throw Error(ErrorCode::kInvalidConfig, "sysctl: " + error.message() + "; give a value that it takes",
                error.details(), error.sys_errno());
  }
}

void apply(Container& container, const TuningRequest& request, nlohmann::json& state) {
  if (request.changes_link()) {
    const netlink::Link link = must_find(container, request.key.ifname);
    std::vector<netlink::Request> requests;
    for (const LinkSetting& setting : kSettings) {
      const auto wanted = state["link"].find(setting.name);
      if (wanted != state["link"].end() && (*wanted)["before"] != (*wanted)["set"]) {
        requests.push_back(setting.write(link.index, (*wanted)["set"]));
      }
    }
    if (!requests.empty()) container.route.transact_all(requests);
  }
  container.netns.run([&] {
    for (nlohmann::json& sysctl : state["sysctls"]) {
      const std::string path = tuned_path(sysctl["path"].get<std::string>(), request.key.ifname);
      set_sysctl(path, sysctl["set"].get<std::string>());
      sysctl["set"] = netlink::read_sysctl(path).value_or("");
    }
  });
  state["applied"] = true;
}

/// The recorded namespace; nullopt when it is gone, or its path leads to another one by now.
std::optional<Container> find_container(const ipam::AttachmentRecord& record) {
  try {
    // The own namespace is allowed: whether it may be tuned was decided at ADD.
    Container container = Container::enter(record.netns_path, true);
    if (container.cookie == record.netns_cookie) return container;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInvalidNetns) throw;
  }
  return std::nullopt;
}

void restore_sysctls(const Container& container, const std::string& ifname, const nlohmann::json& state) {
  const bool applied = state.value("applied", false);
  const nlohmann::json sysctls = state.value("sysctls", nlohmann::json::array());
  container.netns.run([&] {
    for (auto sysctl = sysctls.rbegin(); sysctl != sysctls.rend(); ++sysctl) {
      const std::string path = tuned_path(sysctl->at("path").get<std::string>(), ifname);
      const auto present = netlink::read_sysctl(path);
      if (!present || (applied && *present != sysctl->at("set"))) continue;
      netlink::write_sysctl(path, sysctl->at("before").get<std::string>());
    }
  });
}

void restore_link(Container& container, const std::string& ifname, const nlohmann::json& state) {
  const nlohmann::json settings = state.value("link", nlohmann::json::object());
  const auto link = settings.empty() ? std::nullopt : netlink::find_link(container.route, ifname);
  if (!link) return;
  std::vector<netlink::Request> requests;
  for (const LinkSetting& setting : kSettings) {
    const auto recorded = settings.find(setting.name);
    if (recorded == settings.end() || recorded->at("before").is_null()) continue;
    const nlohmann::json present = setting.read(*link);
    if (present != recorded->at("set") || present == recorded->at("before")) continue;
    requests.push_back(setting.write(link->index, recorded->at("before")).tolerate({ENODEV}));
  }
  if (!requests.empty()) container.route.transact_all(requests);
}

std::string plain(const nlohmann::json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

}  // namespace

std::string tuned_path(std::string path, const std::string& ifname) {
  const std::string placeholder = std::string("/") + kIfnamePlaceholder;
  for (std::size_t at = path.find(placeholder); at != std::string::npos; at = path.find(placeholder, at)) {
    const std::size_t end = at + placeholder.size();
    if (end == path.size() || path[end] == '/') path.replace(at + 1, placeholder.size() - 1, ifname);
    at += ifname.size() + 1;
  }
  return path;
}

void tune(Host& host, const TuningRequest& request) {
  Container container = Container::enter(request.netns_path, request.netns_override);
  const PartSteps steps{.prepare = [&] { return prepare(container, request); },
                        .apply = [&](const ipam::AttachmentRecord&,
                                     nlohmann::json& state) { apply(container, request, state); }};
  add_part(host, {request.key, kTuningPart, request.netns_path, request.container_name}, steps);
}

void undo_tuning(Host& /*host*/, const ipam::AttachmentRecord& record, const nlohmann::json& state) {
  std::optional<Container> container = find_container(record);
  if (!container) return;
  restore_sysctls(*container, record.key.ifname, state);
  restore_link(*container, record.key.ifname, state);
}

std::vector<std::string> tuning_drift(Host& /*host*/, const ipam::AttachmentRecord& record,
                                      const nlohmann::json& state) {
  std::optional<Container> container = find_container(record);
  if (!container) return {"the container's network namespace is not the one that was tuned"};
  std::vector<std::string> findings;
  const std::string& ifname = record.key.ifname;
  const nlohmann::json settings = state.value("link", nlohmann::json::object());
  const auto link = netlink::find_link(container->route, ifname);
  if (!settings.empty() && !link) findings.push_back("the container has no interface " + ifname);
  for (const LinkSetting& setting : kSettings) {
    const auto recorded = settings.find(setting.name);
    if (recorded == settings.end() || !link) continue;
    const nlohmann::json present = setting.read(*link);
    if (present == recorded->at("set")) continue;
    findings.push_back(std::string(setting.name) + " of " + ifname + " is " + plain(present) +
                       " instead of " + plain(recorded->at("set")));
  }
  container->netns.run([&] {
    for (const nlohmann::json& sysctl : state.value("sysctls", nlohmann::json::array())) {
      const auto path = sysctl.at("path").get<std::string>();
      const auto present = netlink::read_sysctl(tuned_path(path, ifname));
      const auto set = sysctl.at("set").get<std::string>();
      if (present && comparable(*present) == comparable(set)) continue;
      findings.push_back("sysctl " + dotted(path, ifname) + " is " +
                         (present ? "\"" + *present + "\"" : "missing") + " instead of \"" + set + "\"");
    }
  });
  return findings;
}

}  // namespace netctl::engine
