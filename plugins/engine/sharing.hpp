#pragma once
// What the store knows of shared namespaces. A sharer is an attachment whose CNI_NETNS shows the namespace of another
// container (its owner) or of the host; an owner that was detached while it has sharers has "left" and is kept for them.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ipam/sharers.hpp"
#include "plugins/engine/host.hpp"

namespace netctl::engine {

inline constexpr const char* kSharePart = "container-share";
inline constexpr const char* kHostPart = "host";

/// Between kBinding and kBound, and between kRestoring and the end, the path may carry no mount for a moment: a process that
/// dies there leaves a file that its undo has to mount the container's own namespace on again. When it is found bare in
/// kBound, the runtime has unmounted it and is done with it.
enum class SharePhase { kBinding, kBound, kRestoring };

/// State of a sharer's part (part.hpp): all that its undo needs.
struct SharedNetns {
  SharePhase phase = SharePhase::kBinding;
  std::string pin;               ///< where the container's own namespace is kept
  std::uint64_t own_cookie = 0;  ///< of that one; AttachmentRecord::netns_cookie is the shared one's
  std::string target;            ///< as it was asked for; empty: the host
  std::vector<ipam::AttachmentKey> owners;  ///< every attachment of the owner; empty: it is none of ours
  std::string owner_name;
  bool keep = true;

  [[nodiscard]] nlohmann::json to_json() const;
  /// Errors: kIo when it is not what to_json() writes.
  [[nodiscard]] static SharedNetns from_json(const nlohmann::json& json);
};

/// "container-share" or "host"; nullptr when the attachment is no sharer.
[[nodiscard]] const char* share_part(const ipam::AttachmentRecord& record);
/// nullopt when the attachment is no sharer, or its part is not in the record any more.
[[nodiscard]] std::optional<SharedNetns> shared_netns(const ipam::AttachmentRecord& record);

/// Sharers of this very namespace: those of an earlier container of the same name do not count.
[[nodiscard]] std::vector<ipam::SharerRecord> sharers_in(const ipam::Transaction& store,
                                                         const ipam::AttachmentRecord& owner);

/// Parts whose DEL came while the attachment was kept for its sharers.
[[nodiscard]] std::vector<std::string> left_parts(const ipam::AttachmentRecord& record);
void mark_left(ipam::AttachmentRecord& record, const std::string& part);
/// It has left, and nobody shares with it any more.
[[nodiscard]] bool is_abandoned(const ipam::Transaction& store, const ipam::AttachmentRecord& record);

/// For executables that would change the interface or the namespace of an attachment: a sharer's are not its own.
/// Errors: kInvalidConfig naming `plugin`.
void refuse_sharer(const ipam::AttachmentRecord& record, const std::string& plugin);

/// Ports that a container in the host's namespace asked for: Docker discards them, and so do we. For `netctl inspect`.
void note_discarded_ports(ipam::AttachmentRecord& record, const std::vector<std::string>& ports);
[[nodiscard]] std::vector<std::string> discarded_ports(const ipam::AttachmentRecord& record);

}  // namespace netctl::engine
