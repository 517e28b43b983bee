#pragma once

#include "plugins/cni/invocation.hpp"

namespace netctl::cni {

enum class NetnsNeed { kAsTheCommandSays, kOptional };

/// What read_invocation does, into a place of the caller's: when it throws, `invocation` holds what was read so far (the
/// error is then answered in the version of the configuration).
void read_into(Invocation& invocation, Command command, const Environment& environment,
               NetnsNeed netns_need = NetnsNeed::kAsTheCommandSays);

}  // namespace netctl::cni
