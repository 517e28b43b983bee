#pragma once
// Rules of the older iptables (x_tables), which no library of ours speaks: the program itself is run, with arguments that
// this file alone makes up, and only where its table `filter` is in use already.

#include <string>

#include "base/ip_address.hpp"
#include "iptables/forward_accept.hpp"

namespace netctl::engine {

/// Does the calling thread's network namespace have the table `filter` of the older iptables?
[[nodiscard]] bool uses_legacy_filter(Family family);

/// DOCKER-USER when it is there, else FORWARD. Errors: kNotAvailable when the program is not installed.
[[nodiscard]] std::string legacy_chain(Family family);
[[nodiscard]] bool has_legacy_chain(Family family, const std::string& chain);

/// The same rules as iptables::ForwardFilter's. All are idempotent.
/// Errors: kNotAvailable (no program), kKernel with its words.
void add_legacy(const iptables::ForwardAccept& accept);
void remove_legacy(const iptables::ForwardAccept& accept);
[[nodiscard]] bool has_legacy(const iptables::ForwardAccept& accept);

}  // namespace netctl::engine
