#pragma once

#include <string_view>
#include <vector>

#include "plugins/cni/invocation.hpp"
#include "plugins/engine/publish.hpp"
#include "plugins/engine/share.hpp"

namespace netctl::engine {

/// What `host` and `container-share` read alike: identity, names, dns, and the ports as discarded ones (container-share
/// publishes them instead). `own_keys` are those that may stand in "netctl"; "description" always may.
/// Errors: kInvalidConfig (also behind another plugin of a list), kInvalidEnvironment, kUnsupportedField.
[[nodiscard]] ShareRequest read_share_request(const cni::Invocation& invocation, const char* part,
                                              std::vector<std::string_view> own_keys);

}  // namespace netctl::engine
