#pragma once
// Parts: the shares that the executables of a chain have in one attachment. Each part keeps what its undo needs, in words of
// its own, in the attachment's record; so DEL, gc and CHECK of any executable can undo and compare all of them.

#include <functional>
#include <string>
#include <vector>

#include "plugins/cni/result.hpp"
#include "plugins/engine/host.hpp"

namespace netctl::engine {

/// What is known of one kind of part. All functions act in the host's namespace, under the attachment's lock.
struct PartKind {
  const char* name;
  /// Link, leases and ports of the record are this part's: they go when it goes.
  bool owns_attachment;
  /// Takes back what `state` tells of; nullptr when there is nothing besides what the record itself lists. Idempotent:
  /// what is gone already is success. Must not need the container's namespace to exist. Throws when something is left:
  /// the record then stays `deleting` for the next DEL or gc.
  void (*undo)(Host& host, const ipam::AttachmentRecord& record, const nlohmann::json& state);
  /// What differs from `state`, one sentence each; nullptr when there is nothing to compare. Changes nothing.
  std::vector<std::string> (*find_drift)(Host& host, const ipam::AttachmentRecord& record,
                                         const nlohmann::json& state);
};

/// Errors: kIo for a name that only a newer version can know.
[[nodiscard]] const PartKind& part_kind(const std::string& name);

/// Null when the part has none.
[[nodiscard]] nlohmann::json part_state(const ipam::AttachmentRecord& record, const std::string& part);
void set_part_state(ipam::AttachmentRecord& record, const std::string& part, nlohmann::json state);
/// The part is not in the record any more.
void forget_part(ipam::AttachmentRecord& record, const std::string& part);

/// Undoes what every part that goes (`part`, or all) has told in its state; what owns the attachment comes last.
/// Steps that fail are handed to `run`, which decides what becomes of the failure.
using RunStep = std::function<bool(const std::function<void()>& step)>;
bool undo_parts(Host& host, const ipam::AttachmentRecord& record, const std::optional<std::string>& part,
                const RunStep& run);

/// What a chained executable asks for.
struct PartRequest {
  ipam::AttachmentKey key;
  std::string part;
  std::string netns_path;
  std::string container_name;
};

/// A record that an earlier container of the same name left (its namespace is another) is undone with all its parts: what
/// joined it would count as dead with it. The caller holds the attachment's lock. Errors: kInvalidNetns; those of detach().
void clear_other_container(Host& host, const PartRequest& request);

/// The attachment's record as another executable of the chain left it, or a new one when that one keeps none of ours.
/// Errors: kInvalidNetns.
[[nodiscard]] ipam::AttachmentRecord record_to_join(const ipam::Transaction& store,
                                                    const PartRequest& request);

/// The two steps of a chained ADD.
struct PartSteps {
  /// Looks at what is there and returns the state: all that undo needs if the process dies in the middle of `apply`.
  /// Changes nothing. Runs after an older share of the same part was undone, so that it sees the original values.
  std::function<nlohmann::json()> prepare;
  /// Does the work; what it leaves in `state` replaces the recorded one.
  std::function<void(const ipam::AttachmentRecord& record, nlohmann::json& state)> apply;
};

/// ADD of a chained executable: records the part as `adding` with what `prepare` returned, runs `apply`, records it as
/// `ready` with the state that `apply` left. A failure takes this part back and leaves the others alone. The
/// attachment's lock is held all the time. An ADD of the same part that died, or whose DEL never came, is undone first, and
/// so is everything of an earlier container of the same name.
/// Errors: those of the steps; kInvalidNetns; kTryAgainLater.
void add_part(Host& host, const PartRequest& request, const PartSteps& steps);

}  // namespace netctl::engine
