#pragma once
// GC and STATUS, which are the same for every executable that keeps records.

#include <functional>
#include <initializer_list>

#include "plugins/engine/host.hpp"
#include "plugins/engine/request.hpp"

namespace netctl::engine {

/// CNI GC of one network. With a list of valid attachments everything else goes; without one only what is provably dead.
/// Errors: kKernel naming everything that could not be cleared; the rest was done.
void gc(const cni::Invocation& invocation);

/// Runs all steps of a GC whatever becomes of those before. Errors: the first one's own when it is the only one, else
/// kKernel with all reasons.
void run_all(std::initializer_list<std::function<void()>> steps);

/// CNI STATUS: can ADD be served? Reads only. Errors: kNotAvailable (50) with the reason: no right to change the network,
/// no nf_tables, no state directory, pool full.
void status(const AttachmentRequest& request);

}  // namespace netctl::engine
