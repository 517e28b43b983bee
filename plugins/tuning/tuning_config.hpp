#pragma once

#include "plugins/engine/parts/tuning.hpp"
#include "plugins/tuning/sysctl_allowlist.hpp"

namespace netctl::tuning {

/// The reference's keys: sysctl, mac, mtu, promisc, allmulti, txQLen; those of args.cni overrule them one by one. For the
/// hardware address the order is that of CONVENTIONS.md: mac < CNI_ARGS < args.cni < runtimeConfig. mtu 0, mac "" and
/// promisc false ask for nothing. dataDir is accepted: the values from before are in the attachment's record.
/// Errors: kInvalidConfig (wrong type or value; a sysctl given twice, or not allowed, see require_allowed()),
/// kInvalidEnvironment (CNI_ARGS), kIo (the list of allowed sysctls).
[[nodiscard]] engine::TuningRequest read_request(const cni::Invocation& invocation,
                                                 const std::string& allowlist_file = kAllowlistFile);

}  // namespace netctl::tuning
