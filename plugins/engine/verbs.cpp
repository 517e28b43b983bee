#include "plugins/engine/verbs.hpp"

#include <unistd.h>

#include "base/error.hpp"
#include "ipam/reservations.hpp"
#include "plugins/engine/addressing.hpp"
#include "plugins/engine/gc.hpp"

namespace netctl::engine {
namespace {

[[noreturn]] void not_available(const std::string& reason, const std::string& details = {}) {
  throw Error(ErrorCode::kNotAvailable, reason, details);
}

void require_state_directory() {
  const std::string directory = ipam::Store::default_directory();
  if (::access(directory.c_str(), W_OK | X_OK) == 0) return;
  if (errno == ENOENT) {
    const std::string parent = directory.substr(0, directory.find_last_of('/') + 1);
    if (::access(parent.empty() ? "." : parent.c_str(), W_OK | X_OK) == 0) return;
  }
  not_available(
      "the state directory " + directory + " cannot be written; run as root, or set NETCTL_STATE_DIR",
      errno_text(errno));
}

/// Opening a netfilter socket needs no right; asking nf_tables for its generation needs CAP_NET_ADMIN and the module.
void require_netfilter() {
  try {
    (void)netlink::Socket::open(netlink::Bus::kNetfilter);
  } catch (const Error& error) {
    not_available("nf_tables is not available; load the kernel module nf_tables", error.details());
  }
  if (::geteuid() != 0) not_available("the network can only be changed by root (CAP_NET_ADMIN); run as root");
}

/// Without creating anything: a store that is not there yet has every address free.
void require_free_address(const AttachmentRequest& request) {
  if (request.addressing.kind != Addressing::kPool || request.addressing.sets.empty()) return;
  const netlink::Socket route = netlink::Socket::open(netlink::Bus::kRoute);
  const auto store =
      ipam::Store::open_live_if_present(ipam::Store::default_directory(), route.netns_cookie());
  if (!store) return;
  ipam::PoolConfig pool;
  pool.id = ipam::pool_id(request.addressing.data_directory, request.key.network);
  pool.network = request.key.network;
  pool.exclude = request.addressing.exclude;
  for (const auto& set : request.addressing.sets) {
    pool.sets.emplace_back();
    for (const ipam::RangeSpec& range : set) pool.sets.back().push_back(ipam::resolve_range(range));
  }
  ipam::Utilisation use;
  store->read([&](const ipam::Transaction& transaction) { use = ipam::utilisation(transaction, pool); });
  if (use.leased < use.size) return;
  not_available("no IP addresses are left in the pool of network " + request.key.network +
                "; remove containers, run `netctl gc`, or widen the range");
}

}  // namespace

void gc(const cni::Invocation& invocation) {
  Host host = Host::open();
  GcReport report;
  if (invocation.valid_attachments) {
    std::set<std::pair<std::string, std::string>> valid;
    for (const cni::ValidAttachment& attachment : *invocation.valid_attachments) {
      valid.emplace(attachment.container_id, attachment.ifname);
    }
    report = collect_all_but(host, invocation.network, valid);
  } else {
    report = collect_garbage(host, invocation.network);
  }
  if (report.problems.empty()) return;
  std::string all;
  for (const std::string& problem : report.problems) all += (all.empty() ? "" : "; ") + problem;
  throw Error(ErrorCode::kKernel, "not everything could be collected: " + all + "; try again", all);
}

void status(const AttachmentRequest& request) {
  require_state_directory();
  require_netfilter();
  require_free_address(request);
}

}  // namespace netctl::engine
