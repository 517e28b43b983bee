#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "plugins/cni/result.hpp"
#include "plugins/engine/host.hpp"

namespace netctl::engine {

/// A namespace that may be shared, held open.
struct ShareTarget {
  netlink::Netns netns;
  std::uint64_t cookie = 0;
  std::string path;                         ///< where it was opened; "" for the host's own
  std::vector<ipam::AttachmentKey> owners;  ///< every attachment of its container; empty: it is none of ours
  std::string owner_name;
  cni::Dns dns;
};

/// The namespace of the host itself.
[[nodiscard]] ShareTarget host_target();

/// Finds whose namespace `text` means: a path; "pid:NUMBER"; else, of the containers that the store knows, an id, a name
/// (also NAMESPACE/NAME as Kubernetes has it, and aliases), or the beginning of one id; else a plain number is a PID.
/// "container:" in front, as Docker writes it, is ignored. A sharer stands for its owner. `sharer` itself is never meant.
/// Errors, each with the way out: kInvalidConfig (unknown, ambiguous, the host's namespace without `allow_host`),
/// kInvalidNetns (dead: the path is gone or shows another namespace; a sharer whose owner has left; no namespace),
/// kTryAgainLater (its ADD or DEL is not finished).
[[nodiscard]] ShareTarget find_share_target(Host& host, const std::string& text, bool allow_host,
                                            const ipam::AttachmentKey& sharer);

}  // namespace netctl::engine
