#pragma once
// The share of `tuning`: sysctls of the container's namespace and settings of its interface, with the values that stood
// there before in the record, so that DEL and gc of any executable can put them back.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/mac_address.hpp"
#include "plugins/engine/part.hpp"
#include "plugins/engine/plan.hpp"

namespace netctl::engine {

inline constexpr const char* kTuningPart = "tuning";
/// Stands for the interface's name in the path of a sysctl: the record keeps it so.
inline constexpr const char* kIfnamePlaceholder = "IFNAME";

struct TuningRequest {
  ipam::AttachmentKey key;
  std::string netns_path;
  bool netns_override = false;
  std::string container_name;
  std::vector<Sysctl> sysctls;  ///< paths below /proc/sys/net; a component may be kIfnamePlaceholder
  std::optional<MacAddress> mac;
  std::optional<std::uint32_t> mtu_bytes;
  std::optional<bool> promiscuous;
  std::optional<bool> all_multicast;
  std::optional<std::uint32_t> tx_queue_length;  ///< packets

  [[nodiscard]] bool changes_link() const {
    return mac || mtu_bytes || promiscuous || all_multicast || tx_queue_length;
  }
  [[nodiscard]] bool is_empty() const { return sysctls.empty() && !changes_link(); }
};

/// `path` with the interface's name in the place of kIfnamePlaceholder.
[[nodiscard]] std::string tuned_path(std::string path, const std::string& ifname);

/// Settings of the link, then sysctls, all in the container's namespace. A failure puts everything back.
/// Errors: kInvalidConfig (no such interface, no such sysctl, a value that the kernel refuses), kInvalidNetns, kKernel.
void tune(Host& host, const TuningRequest& request);

/// See PartKind. Puts a value back only while it is the one that was set, and only in the namespace that it was set in; a
/// container that is gone has nothing to be put back.
void undo_tuning(Host& host, const ipam::AttachmentRecord& record, const nlohmann::json& state);
[[nodiscard]] std::vector<std::string> tuning_drift(Host& host, const ipam::AttachmentRecord& record,
                                                    const nlohmann::json& state);

}  // namespace netctl::engine
