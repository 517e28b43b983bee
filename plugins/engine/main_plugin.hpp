#pragma once

#include "plugins/cni/plugin.hpp"
#include "plugins/engine/request.hpp"

namespace netctl::engine {

/// The configuration of one executable as a request. Errors: kInvalidConfig, kUnsupportedField, kInvalidEnvironment.
using RequestReader = AttachmentRequest (*)(const cni::Invocation& invocation);

/// The verbs of an executable that makes the container's link: all of them follow from its reader. DEL does its own part
/// whatever configuration or delegate are like; their complaint is passed on afterwards.
[[nodiscard]] cni::Plugin main_plugin(const std::string& name, const std::string& about, RequestReader read);

}  // namespace netctl::engine
