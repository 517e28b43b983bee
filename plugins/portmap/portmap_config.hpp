#pragma once

#include "plugins/engine/publish.hpp"

namespace netctl::portmap {

/// The reference's keys: `snat` (default true) is honoured, `backend` may name either mechanism (nf_tables does the work),
/// what would change the meaning of the rules and is not offered is refused (kUnsupportedField).
/// Addresses come from prevResult: the first of each family that belongs to CNI_IFNAME in the container, or to no interface.
/// Errors: kInvalidConfig, kUnsupportedField.
[[nodiscard]] engine::PublishRequest read_request(const cni::Invocation& invocation);

}  // namespace netctl::portmap
