#pragma once
// Which sysctls a network configuration may set. All are below /proc/sys/net of the container's namespace; but some files
// that the kernel shows there are the whole machine's, and a few are no settings at all.

#include <string>

namespace netctl::tuning {

/// "net.ipv4.conf.IFNAME.arp_notify" or "net/ipv4/conf/eth0.5/arp_notify" as the path below /proc/sys/net. As in sysctl(8)
/// the first of '.' and '/' separates, and the other one stands for a dot. Errors: kInvalidConfig when it is not below
/// net, or has an empty, "." or ".." component, or other characters than names have.
[[nodiscard]] std::string sysctl_path(const std::string& key);

/// Keys that belong to one network namespace alone. Pure; `path` is one of sysctl_path().
[[nodiscard]] bool is_allowed_by_default(const std::string& path);

inline constexpr const char* kAllowlistFile = "/etc/cni/tuning/allowlist.conf";

/// Errors: kInvalidConfig when `key` (as the configuration spells it, IFNAME unreplaced) matches no regular expression of
/// `file`, one a line, unanchored; or, when there is no such file, when is_allowed_by_default() says no. kIo when the file
/// cannot be read or holds what is no regular expression: then nothing is allowed.
void require_allowed(const std::string& key, const std::string& file = kAllowlistFile);

}  // namespace netctl::tuning
