#pragma once

#include "plugins/hook/hook_options.hpp"

namespace netctl::hook {

/// createRuntime (or prestart): attaches the container's network namespace to the network. A failure leaves nothing.
/// Errors: kInvalidConfig (no network named, unknown network), kInvalidNetns (no process, no namespace of its own), those of
/// the network's plugins.
void attach(const ContainerState& state, const Options& options);

/// poststop: detaches everything that attach() recorded for this container, whatever the configurations are by now. Needs
/// neither process nor namespace. Idempotent. Errors: the first one; everything else was done all the same.
void detach(const ContainerState& state);

}  // namespace netctl::hook
