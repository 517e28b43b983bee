#include "plugins/overlay/agent/agent.hpp"

#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.hpp"
#include "base/private_directory.hpp"
#include "plugins/cni/json_text.hpp"
#include "plugins/engine/log.hpp"
#include "plugins/frontdoor/conf.hpp"
#include "plugins/overlay/agent/notify.hpp"

namespace netctl::overlay {
namespace {

using Json = nlohmann::json;

/// Blocks them, so that they arrive by the descriptor alone.
UniqueFd catch_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, signal);
  if (::sigprocmask(SIG_BLOCK, &set, nullptr) != 0) throw_errno("block signals");
  UniqueFd fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) throw_errno("wait for signals");
  return fd;
}

std::string prepared(const std::string& directory) {
  make_private_directory(directory, "the state directory");
  make_private_directory(directory + "/overlay", "the folder of leases");
  return directory;
}

ServerReply problem(int status, const std::string& sentence) {
  return {status, cni::to_text(Json{{"problem", sentence}}), "application/json"};
}

}  // namespace

Agent::Agent(AgentOptions options)
    : options_(std::move(options)),
      lock_file_(prepared(options_.state_directory) + "/overlay/agent.lock"),
      lock_(lock_file_.try_lock(0, LockMode::kExclusive)),
      socket_(netlink::Socket::open(netlink::Bus::kRoute)),
      events_(netlink::LinkEvents::open()),
      server_((lock_ ? options_.state_directory
                     : throw Error(ErrorCode::kTryAgainLater,
                                   "another netctl-agent runs with the state directory " +
                                       options_.state_directory + "; stop it first")) +
                  "/overlay/agent.sock",
              options_.metrics_port,
              [this](const ServerRequest& request, bool local_port, const Server::Reply& reply) {
                answer(request, local_port, reply);
              }) {
  signals_ = catch_signals();
  load();
}

void Agent::load() {
  tenders_.clear();
  complaints_.clear();
  for (const frontdoor::NetworkConf& conf : frontdoor::load_all(options_.conf_directory, complaints_)) {
    if (conf.driver() != "overlay") continue;
    try {
      OverlayConfig config = read_overlay_config(conf.plugins.front(), conf.name);
      if (config.source != Source::kEtcd && config.source != Source::kDirectory) continue;
      tenders_.emplace_back(socket_, std::move(config), conf.plugins.front(), options_.state_directory);
    } catch (const Error& error) {
      complaints_.push_back(conf.file + ": " + error.message());
    }
  }
  for (const std::string& complaint : complaints_) engine::log_warning(complaint);
}

int Agent::milliseconds_to_wait() const {
  Clock::time_point first = Clock::now() + std::chrono::seconds(1);
  for (const Tender& tender : tenders_) first = std::min(first, tender.deadline());
  if (watchdog_at_) first = std::min(first, *watchdog_at_);
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(first - Clock::now());
  return static_cast<int>(std::max<long>(left.count(), 0));
}

bool Agent::on_signal() {
  signalfd_siginfo info{};
  while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
    if (info.ssi_signo != SIGHUP) return false;
    load();
  }
  return true;
}

void Agent::feed_watchdog() {
  const auto interval = watchdog_interval();
  const auto now = Clock::now();
  if (interval && (!watchdog_at_ || *watchdog_at_ <= now)) {
    notify_supervisor("WATCHDOG=1");
    watchdog_at_ = now + *interval;
  }
  std::string status = "STATUS=" + std::to_string(tenders_.size()) + " networks";
  for (const Tender& tender : tenders_) {
    if (!tender.trouble().empty()) status += "; " + tender.network() + ": " + tender.trouble();
  }
  if (status != said_) notify_supervisor(status);
  said_ = status;
}

void Agent::run() {
  notify_supervisor("READY=1");
  while (true) {
    for (Tender& tender : tenders_) tender.drive();
    feed_watchdog();
    std::vector<pollfd> polled{{signals_.get(), POLLIN, 0}, {events_.fd(), POLLIN, 0}};
    for (const Tender& tender : tenders_) polled.push_back({tender.fd(), POLLIN, 0});
    server_.add_to(polled);
    if (::poll(polled.data(), polled.size(), milliseconds_to_wait()) < 0 && errno != EINTR)
      throw_errno("wait");
    if (!on_signal()) break;
    if ((polled[1].revents & POLLIN) != 0) {
      const netlink::LinkEvents::Seen seen = events_.drain();
      for (Tender& tender : tenders_) tender.on_links(seen);
    }
    server_.drive();
  }
  notify_supervisor("STOPPING=1");
}

void Agent::answer(const ServerRequest& request, bool local_port, const Server::Reply& reply) {
  if (request.method == "GET" && request.path == "/metrics") {
    reply({200, metrics(), "text/plain; version=0.0.4"});
  } else if (local_port) {
    reply(problem(403, "only /metrics is answered here; the rest is on the unix socket"));
  } else if (request.method == "GET" && request.path == "/v1/status") {
    reply({200, status(), "application/json"});
  } else if (request.method == "POST") {
    act(request, reply);
  } else {
    reply(problem(404, "there is no " + request.path));
  }
}

/// POST /v1/sync/NETWORK, POST /v1/remove/NETWORK/NODE
void Agent::act(const ServerRequest& request, const Server::Reply& reply) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at < request.path.size();) {
    const std::size_t end = std::min(request.path.find('/', at + 1), request.path.size());
    parts.push_back(request.path.substr(at + 1, end - at - 1));
    at = end;
  }
  const bool sync = parts.size() == 3 && parts[0] == "v1" && parts[1] == "sync";
  const bool remove = parts.size() == 4 && parts[0] == "v1" && parts[1] == "remove";
  if (!sync && !remove) {
    reply(problem(404, "there is no " + request.path));
    return;
  }
  const auto tender = std::find_if(tenders_.begin(), tenders_.end(),
                                   [&](const Tender& each) { return each.network() == parts[2]; });
  if (tender == tenders_.end()) {
    reply(problem(404,
                  "the agent tends no network " + parts[2] + " (SIGHUP makes it read the configurations)"));
  } else if (sync) {
    tender->synchronise();
    reply({200, cni::to_text(tender->status()), "application/json"});
  } else {
    tender->remove_node(parts[3], [reply](const std::string& sentence) {
      reply(sentence.empty() ? ServerReply{200, "{}", "application/json"} : problem(409, sentence));
    });
  }
}

std::string Agent::status() const {
  Json json{{"networks", Json::array()}, {"complaints", complaints_}};
  for (const Tender& tender : tenders_) json["networks"].push_back(tender.status());
  return cni::to_text(json);
}

}  // namespace netctl::overlay
