#pragma once
// Is the container behind a record still there? Only proof of death counts: what is unknown is never reclaimed.

#include "plugins/engine/host.hpp"

namespace netctl::engine {

/// In a record's extra: the runtime took the container's end of the link, and knows better than we what became of it.
inline constexpr const char* kHandedOver = "handedOver";

enum class Liveness { kAlive, kDead, kUnknown };

/// Evidence, in this order: our host link with our alias exists -> alive. The recorded path opens: same namespace cookie ->
/// alive, another one -> dead; a device that moved into the container is back on the host -> dead. The path is missing ->
/// dead when this is the mount namespace that recorded it, else unknown.
/// Where a runtime took the link before its sandbox was there, the link alone tells: gone -> dead.
[[nodiscard]] Liveness examine(Host& host, const ipam::AttachmentRecord& record);

/// Some executable's part was begun and not finished; with a free attachment lock its process has died.
[[nodiscard]] bool is_unfinished(const ipam::AttachmentRecord& record);

[[nodiscard]] std::string to_string(Liveness liveness);

}  // namespace netctl::engine
