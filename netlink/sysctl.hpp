#pragma once
// /proc/sys/net of the calling thread's network namespace, written through verified descriptors: /proc must be procfs, the
// path is walked without symlinks and without leaving it (openat2 RESOLVE_BENEATH | NO_SYMLINKS | NO_XDEV).

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace netctl::netlink {

/// `path` below /proc/sys/net with slashes, e.g. "ipv4/conf/eth0/arp_notify" (an interface name may hold dots).
/// nullopt when there is no such key (IPv6 switched off, ...). Errors: kKernel.
[[nodiscard]] std::optional<std::string> read_sysctl(const std::string& path);

/// Writes unless the value is already that one. Returns what stood there before, nullopt when there is no such key
/// (nothing is written then). Errors: kKernel.
std::optional<std::string> write_sysctl(const std::string& path, const std::string& value);

/// Several in one go, where nobody wants to know what stood there before: (path, value), as above.
void write_sysctls(const std::vector<std::pair<std::string, std::string>>& sysctls);

}  // namespace netctl::netlink
