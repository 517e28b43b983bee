#include "plugins/hook/hook.hpp"

#include <exception>

#include "base/error.hpp"
#include "plugins/engine/detach.hpp"
#include "plugins/engine/network.hpp"
#include "plugins/frontdoor/chain.hpp"
#include "plugins/frontdoor/publish_option.hpp"

namespace netctl::hook {
namespace {

constexpr const char* kRuntimeName = "oci-hook";

/// CNI_ARGS, which every plugin understands: a capability would have to be declared by the network for each key.
std::string args_of(const Options& options) {
  std::string args = "IgnoreUnknown=1";
  std::string ips;
  for (const std::string& ip : options.ips) ips += (ips.empty() ? "" : ",") + ip;
  for (const auto& [key, value] : {std::pair<std::string, std::string>{"K8S_POD_NAME", options.name},
                                   {"IP", ips},
                                   {"MAC", options.mac}}) {
    if (value.find_first_of(";=") != std::string::npos) {
      throw Error(ErrorCode::kInvalidConfig, "a name or address must not have ';' or '=': " + value);
    }
    if (!value.empty()) args.append(";").append(key).append("=").append(value);
  }
  return args;
}

frontdoor::Endpoint endpoint_of(const ContainerState& state, const Options& options) {
  frontdoor::Endpoint endpoint;
  endpoint.in_process = true;
  endpoint.runtime = kRuntimeName;
  endpoint.container_id = state.id;
  endpoint.ifname = options.ifname;
  endpoint.netns = "/proc/" + std::to_string(state.pid) + "/ns/net";
  endpoint.args = args_of(options);
  nlohmann::json& runtime = endpoint.runtime_config;
  for (const std::string& text : options.publish) {
    for (nlohmann::json& mapping : frontdoor::parse_publish(text)) {
      runtime["portMappings"].push_back(std::move(mapping));
    }
  }
  if (!options.aliases.empty()) runtime["aliases"] = options.aliases;
  return endpoint;
}

std::vector<ipam::AttachmentRecord> records_of(engine::Host& host, const std::string& container_id) {
  std::vector<ipam::AttachmentRecord> own;
  host.live().read([&](const ipam::Transaction& store) {
    for (ipam::AttachmentRecord& record : store.list_attachments()) {
      if (record.key.container_id == container_id && record.runtime == kRuntimeName)
        own.push_back(std::move(record));
    }
  });
  return own;
}

/// The network's plugins have a say when its configuration is still there: those of others keep no record of ours.
void run_del_list(const ipam::AttachmentRecord& record) {
  std::vector<std::string> complaints;
  for (const frontdoor::NetworkConf& conf : frontdoor::load_all(frontdoor::conf_directory(), complaints)) {
    if (conf.name != record.key.network) continue;
    frontdoor::Endpoint endpoint;
    endpoint.in_process = true;
    endpoint.container_id = record.key.container_id;
    endpoint.ifname = record.key.ifname;
    endpoint.args = "IgnoreUnknown=1";
    return frontdoor::del_list(conf, endpoint, nullptr);
  }
}

void detach_rest(engine::Host& host, const ipam::AttachmentKey& key) {
  {
    const HeldLock lock = host.live().lock_attachment(key);
    engine::detach(host, key, std::nullopt);
  }
  engine::remove_network_if_unused(host, key.network);
}

}  // namespace

void attach(const ContainerState& state, const Options& options) {
  if (options.network.empty()) {
    throw Error(ErrorCode::kInvalidConfig,
                "no network is named; give the hook --network NAME, or the container the annotation "
                "io.netctl.network");
  }
  if (state.pid <= 1) {
    throw Error(ErrorCode::kInvalidNetns,
                "the state on stdin has pid " + std::to_string(state.pid) +
                    ", whose network namespace cannot be found from here; put the hook under createRuntime "
                    "(or prestart), which runs in the runtime's namespaces");
  }
  const frontdoor::NetworkConf network = frontdoor::find_network_conf(options.network);
  (void)frontdoor::add_list(network, endpoint_of(state, options));
}

void detach(const ContainerState& state) {
  engine::Host host = engine::Host::open();
  std::exception_ptr first;
  const auto attempt = [&first](const auto& step) {
    try {
      step();
    } catch (const Error&) {
      if (!first) first = std::current_exception();
    }
  };
  for (const ipam::AttachmentRecord& record : records_of(host, state.id)) {
    attempt([&] { run_del_list(record); });
    attempt([&] { detach_rest(host, record.key); });
  }
  if (first) std::rethrow_exception(first);
}

}  // namespace netctl::hook
