#include "plugins/engine/verbs.hpp"

#include <unistd.h>

#include <algorithm>
#include <vector>

#include "base/error.hpp"
#include "ipam/reservations.hpp"
#include "plugins/engine/addressing.hpp"
#include "plugins/engine/gc.hpp"
#include "plugins/engine/reference_leases.hpp"

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

/// Addresses of the pool that only a lease file of the reference's host-local holds.
std::uint64_t leased_by_reference(const ipam::Transaction& store, const AttachmentRequest& request,
                                  const ipam::PoolConfig& pool) {
  const auto leases = ReferenceLeases::open(request.addressing.data_directory, request.key.network);
  if (!leases) return 0;
  std::uint64_t count = 0;
  for (const ReferenceLease& lease : leases->list()) {
    const bool inside = std::any_of(pool.sets.begin(), pool.sets.end(), [&lease](const ipam::RangeSet& set) {
      return std::any_of(set.begin(), set.end(), [&lease](const ipam::Range& range) {
        return range.subnet.contains(lease.address) && lease.address >= range.first &&
               lease.address <= range.last;
      });
    });
    if (inside && !ipam::find_holder(store, pool.id, lease.address)) ++count;
  }
  return count;
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
  store->read([&](const ipam::Transaction& transaction) {
    use = ipam::utilisation(transaction, pool);
    use.leased += leased_by_reference(transaction, request, pool);
  });
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

void run_all(std::initializer_list<std::function<void()>> steps) {
  std::vector<Error> errors;
  for (const auto& step : steps) {
    try {
      step();
    } catch (const Error& error) {
      errors.push_back(error);
    }
  }
  if (errors.empty()) return;
  if (errors.size() == 1) throw Error(errors.front());
  std::string all;
  for (const Error& error : errors) all += (all.empty() ? "" : "; ") + error.message();
  throw Error(ErrorCode::kKernel, all, errors.front().details());
}

void status(const AttachmentRequest& request) {
  require_state_directory();
  require_netfilter();
  require_free_address(request);
}

}  // namespace netctl::engine
