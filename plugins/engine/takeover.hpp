#pragma once
// Containers that the reference plugins attached before this suite took their place: their DEL comes to us. What they left
// is removed by exact match, and only when our store knows nothing of the attachment and a lease file of the reference
// names it: the lease, its rules (nf_tables, also those of iptables-nft), the container's veth. Never the bridge, never
// the chains that all containers share.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "iptables/foreign_rules.hpp"
#include "plugins/cni/invocation.hpp"
#include "plugins/engine/host.hpp"
#include "plugins/engine/reference_leases.hpp"

namespace netctl::engine {

/// Which executable's DEL it is: each takes back what the reference's one of that name made. The main plugin comes last in a
/// DEL, so it takes what the others could not (their configuration does not say where the leases are).
enum class TakeOver { kPorts, kLease, kEverything };

/// Behind our own DEL. No lease file of the reference, or a record: nothing happens; without a folder of theirs it is one
/// system call. kPorts goes by the addresses of prevResult as well, and looks through the tables then: for attachments that
/// had no record. Idempotent.
/// Errors: kTryAgainLater, kIo, kKernel; what could be done was done, and the lease stays until the rest is gone.
void take_over_del(Host& host, const cni::Invocation& invocation, TakeOver what);

/// GC with a list of valid attachments: the same for every lease of the network whose attachment is not among them and
/// has no record. Files that name no container stay: nobody knows whose they are. Without a list nothing is provably
/// dead.
/// Errors: as take_over_del(), naming everything that failed; the rest was done.
void take_over_gc(Host& host, const cni::Invocation& invocation, TakeOver what);

/// Runs `check`; when that finds no record, a lease file of the reference may say why. Errors: those of `check`; kDrift when
/// other plugins made this attachment: there is nothing to compare it with.
void check_or_explain(const cni::Invocation& invocation, const std::function<void()>& check);

/// The rules that the reference's plugins made for one attachment, as found in the host's tables.
struct ReferenceRules {
  std::vector<iptables::ForeignRule> rules;
  std::vector<iptables::ForeignChain> chains;  ///< with all rules in them
};

/// What identifies the rules of an attachment.
struct ReferenceIdentity {
  ipam::AttachmentKey key;
  std::vector<IpAddress> addresses;
  bool last_of_container =
      true;  ///< no other interface of the container is on this network: chains are shared by them
};

[[nodiscard]] ReferenceRules find_reference_rules(iptables::ForeignTables& tables,
                                                  const ReferenceIdentity& identity, TakeOver what);

}  // namespace netctl::engine
