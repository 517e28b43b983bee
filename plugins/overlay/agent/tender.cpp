#include "plugins/overlay/agent/tender.hpp"

#include <algorithm>
#include <ctime>

#include "base/error.hpp"
#include "ipam/store.hpp"
#include "plugins/engine/host.hpp"
#include "plugins/engine/log.hpp"
#include "plugins/overlay/overlay.hpp"

namespace netctl::overlay {
namespace {

using namespace std::chrono_literals;

constexpr auto kLookInterval = 30s;
constexpr auto kRetryInterval = 1s;
// Changes that come together are programmed together.
constexpr auto kAfterLinkEvents = 20ms;
constexpr auto kShortestRest = 10ms;

std::string sentence_of(const Error& error) {
  return error.details().empty() ? error.message() : error.message() + " (" + error.details() + ")";
}

nlohmann::json texts(const std::vector<IpPrefix>& prefixes) {
  nlohmann::json list = nlohmann::json::array();
  for (const IpPrefix& prefix : prefixes) list.push_back(prefix.to_string());
  return list;
}

}  // namespace

Tender::Tender(netlink::Socket& socket, OverlayConfig config, nlohmann::json plugin_config,
               std::string state_directory)
    : socket_(&socket),
      config_(std::move(config)),
      plugin_config_(std::move(plugin_config)),
      state_directory_(std::move(state_directory)) {
  next_look_ = not_before_ = Clock::now();
}

bool Tender::may_move() {
  const auto store =
      ipam::Store::open_live_if_present(ipam::Store::default_directory(), socket_->netns_cookie());
  bool used = false;
  if (store) {
    store->read([&](const ipam::Transaction& live) { used = live.has_attachments(config_.network); });
  }
  return !used;
}

void Tender::open_source(const Lease& local) {
  if (source_ && source_vtep_ == local.vtep) return;
  Application application{
      config_, {{config_.node, local.vtep, {}, local.mtu_bytes}, machine_identity()}, {}, {}};
  application.may_move = [this] { return may_move(); };
  try {
    const auto former = read_membership(state_directory_, config_.network);
    if (former && former->lease.configuration == local.configuration) {
      written_ = former;
      application.former_blocks = former->lease.blocks;
    }
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kTryAgainLater) throw;  // a damaged one is written anew
  }
  source_ = config_.source == Source::kEtcd ? make_etcd_source(std::move(application))
                                            : make_directory_source(std::move(application));
  source_vtep_ = local.vtep;
}

Clock::time_point Tender::deadline() const {
  Clock::time_point first = next_look_;
  if (dirty_at_) first = std::min(first, *dirty_at_);
  if (source_) {
    first = std::min(first, source_->deadline());
    if (source_->view().generation != applied_generation_) first = std::min(first, not_before_);
  }
  return first;
}

void Tender::drive() {
  if (source_) source_->drive();
  const auto now = Clock::now();
  const bool news = source_ && source_->view().generation != applied_generation_ && now >= not_before_;
  const bool mend = dirty_at_ && *dirty_at_ <= now;
  if (!news && !mend && now < next_look_) return;
  bring_up_to_date();
}

void Tender::on_links(const netlink::LinkEvents::Seen& seen) {
  const bool ours = seen.missed || seen.links.contains(vtep_index_) || seen.links.contains(underlay_index_);
  if (ours && !dirty_at_) dirty_at_ = std::max(Clock::now() + kAfterLinkEvents, not_before_);
}

void Tender::synchronise() {
  bring_up_to_date();
  if (source_) source_->refresh();
}

Membership Tender::membership(Lease local) const {
  const View& view = source_->view();
  std::vector<Node> nodes;
  for (const auto& [name, peer] : view.peers) {
    Node node = peer.node;
    if (node.mtu_bytes && *node.mtu_bytes >= local.mtu_bytes) node.mtu_bytes.reset();
    nodes.push_back(std::move(node));
  }
  local.blocks = view.blocks;
  local.revision = view.revision;
  local.confirmed_wall_seconds = view.confirmed_wall_seconds;
  local.fenced = view.fenced;
  return make_membership(local, std::move(nodes));
}

void Tender::program(const Membership& membership) {
  underlay_index_ = find_underlay(*socket_, membership.lease.vtep).index;
  // Opened each time: ADD and DEL of other processes may have put a damaged store aside meanwhile.
  engine::Host host = engine::Host::open();
  programme(host, config_.network, plugin_config_, membership);
  written_ = membership;
  vtep_index_ = socket_->find_link_index(vtep_ifname(config_.network)).value_or(0);
}

void Tender::bring_up_to_date() {
  const auto began = Clock::now();
  dirty_at_.reset();
  next_look_ = began + kLookInterval;
  kernel_trouble_.clear();
  try {
    const Lease local = local_lease(*socket_, config_);
    open_source(local);
    applied_generation_ = source_->view().generation;
    const View& view = source_->view();
    if (!view.blocks.empty()) {
      program(membership(local));
    } else if (view.owns_nothing) {
      give_up_blocks();
    } else if (written_ && !written_->lease.blocks.empty() && written_->lease.vtep == local.vtep) {
      program(Membership(*written_));  // what the last agent knew holds until the source says otherwise
    }
    ++counters_.reconciles;
  } catch (const Error& error) {
    ++counters_.failures;
    kernel_trouble_ = sentence_of(error);
    next_look_ = began + kRetryInterval;
  }
  const auto took = Clock::now() - began;
  counters_.last_seconds = std::chrono::duration<double>(took).count();
  not_before_ = Clock::now() + std::max<Clock::duration>(kShortestRest, took);
  report();
}

void Tender::give_up_blocks() {
  if (!written_) return;
  engine::Host host = engine::Host::open();
  let_go(host, config_.network);
  written_.reset();
}

std::string Tender::trouble() const {
  if (!kernel_trouble_.empty()) return kernel_trouble_;
  if (!source_) return "not started yet";
  const View& view = source_->view();
  return view.fenced.empty() ? view.trouble : view.fenced;
}

void Tender::report() {
  const std::string now = trouble();
  if (now == reported_) return;
  engine::log_warning("network " + config_.network + ": " + (now.empty() ? "all is well" : now));
  reported_ = now;
}

void Tender::remove_node(const std::string& name, PeerSource::Answer answer) {
  if (!source_) {
    answer(trouble());
  } else {
    source_->remove_node(name, std::move(answer));
  }
}

nlohmann::json Tender::status() const {
  nlohmann::json json{{"network", config_.network},
                      {"source", to_string(config_.source)},
                      {"node", config_.node},
                      {"mode", config_.mode == Mode::kL2 ? "l2" : "routed"},
                      {"vni", config_.vni},
                      {"trouble", trouble()},
                      {"nodes", nlohmann::json::array()}};
  if (!source_) return json;
  const View& view = source_->view();
  json["blocks"] = texts(view.blocks);
  json["revision"] = view.revision;
  json["confirmedAt"] = view.confirmed_wall_seconds;
  json["fenced"] = view.fenced;
  json["rejected"] = view.rejected;
  json["programmed"] = applied_generation_ == view.generation && kernel_trouble_.empty();
  for (const auto& [name, peer] : view.peers) {
    json["nodes"].push_back({{"node", name},
                             {"vtep", peer.node.vtep.to_string()},
                             {"blocks", texts(peer.node.blocks)},
                             {"alive", peer.alive},
                             {"self", name == config_.node}});
  }
  return json;
}

}  // namespace netctl::overlay
