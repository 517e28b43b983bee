#pragma once
// The supervisor's protocol, sd_notify(3): datagrams to $NOTIFY_SOCKET. Nothing happens where there is none.

#include <chrono>
#include <optional>
#include <string>

namespace netctl::overlay {

/// "READY=1", "WATCHDOG=1", "STATUS=...": lines. A supervisor that does not listen is no failure.
void notify_supervisor(const std::string& lines);

/// How often WATCHDOG=1 should be said: half of $WATCHDOG_USEC. nullopt: no watchdog for this process.
[[nodiscard]] std::optional<std::chrono::microseconds> watchdog_interval();

}  // namespace netctl::overlay
