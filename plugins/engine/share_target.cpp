#include "plugins/engine/share_target.hpp"

#include <algorithm>
#include <functional>
#include <set>

#include "base/error.hpp"
#include "plugins/cni/version.hpp"
#include "plugins/engine/identity.hpp"
#include "plugins/engine/liveness.hpp"
#include "plugins/engine/sharing.hpp"

namespace netctl::engine {
namespace {

using Records = std::vector<ipam::AttachmentRecord>;

constexpr std::size_t kShortId = 12;

bool is_number(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

std::string without_prefix(const std::string& text, const std::string& prefix) {
  return text.rfind(prefix, 0) == 0 ? text.substr(prefix.size()) : text;
}

/// For sentences: "mysql-test (0123456789ab)".
std::string named(const ipam::AttachmentRecord& record) {
  const std::string id = record.key.container_id.substr(0, kShortId);
  return record.container_name.empty() ? id : record.container_name + " (" + id + ")";
}

bool has_name(const ipam::AttachmentRecord& record, const std::string& name) {
  const auto aliases = record.extra.value("aliases", std::vector<std::string>{});
  const auto pod_namespace = record.labels.find("K8S_POD_NAMESPACE");
  const bool qualified =
      pod_namespace != record.labels.end() && name == pod_namespace->second + "/" + record.container_name;
  return qualified || record.container_name == name ||
         std::find(aliases.begin(), aliases.end(), name) != aliases.end();
}

/// All attachments of the containers that fit best: by id before by name before by the beginning of the id.
Records best_matches(const Records& all, const std::string& text) {
  const std::function<bool(const ipam::AttachmentRecord&)> tests[] = {
      [&](const ipam::AttachmentRecord& record) { return record.key.container_id == text; },
      [&](const ipam::AttachmentRecord& record) { return has_name(record, text); },
      [&](const ipam::AttachmentRecord& record) { return record.key.container_id.rfind(text, 0) == 0; }};
  for (const auto& fits : tests) {
    std::set<std::string> ids;
    for (const ipam::AttachmentRecord& record : all) {
      if (fits(record)) ids.insert(record.key.container_id);
    }
    Records matches;
    std::copy_if(
        all.begin(), all.end(), std::back_inserter(matches),
        [&ids](const ipam::AttachmentRecord& record) { return ids.contains(record.key.container_id); });
    if (!matches.empty()) return matches;
  }
  return {};
}

[[noreturn]] void refuse_dead(const ipam::AttachmentRecord& record, const std::string& why) {
  throw Error(ErrorCode::kInvalidNetns, "the namespace of " + named(record) + " cannot be shared: " + why +
                                            "; start it again, or share with another container");
}

/// A container that was started again under its name left a dead record behind: that one is not meant.
Records without_dead(Host& host, Records records) {
  Records living;
  std::copy_if(records.begin(), records.end(), std::back_inserter(living),
               [&host](const ipam::AttachmentRecord& record) {
                 return left_parts(record).empty() && examine(host, record) != Liveness::kDead;
               });
  return living.empty() ? records : living;
}

void require_one_container(const Records& records, const std::string& text) {
  std::set<std::string> ids;
  for (const ipam::AttachmentRecord& record : records)
    ids.insert(record.key.container_id.substr(0, kShortId));
  if (ids.size() < 2) return;
  std::string list;
  for (const std::string& id : ids) list += (list.empty() ? "" : ", ") + id;
  throw Error(ErrorCode::kInvalidConfig,
              "\"" + text + "\" means more than one container: " + list + "; give more of the id");
}

void require_shareable(const ipam::AttachmentRecord& owner) {
  if (!left_parts(owner).empty())
    refuse_dead(owner, "it was removed and is kept for those that share with it");
  if (!is_unfinished(owner)) return;
  throw Error(ErrorCode::kTryAgainLater, "the ADD or DEL of " + named(owner) +
                                             " is not finished; try again, or run `netctl gc` if it was "
                                             "interrupted");
}

netlink::Netns open_verified(const ipam::AttachmentRecord& record) {
  try {
    netlink::Netns netns = netlink::Netns::open(record.netns_path);
    if (netns.cookie() == record.netns_cookie) return netns;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInvalidNetns) throw;
    refuse_dead(record, error.message());
  }
  refuse_dead(record, record.netns_path +
                          " shows another namespace than at its ADD (it has ended, and the "
                          "path or the PID was used again)");
}

ShareTarget target_of_owners(const Records& owners) {
  const ipam::AttachmentRecord& first = owners.front();
  for (const ipam::AttachmentRecord& owner : owners) require_shareable(owner);
  ShareTarget target{
      open_verified(first), first.netns_cookie, first.netns_path, {}, first.container_name, {}};
  for (const ipam::AttachmentRecord& owner : owners) {
    if (owner.netns_cookie != target.cookie) continue;
    target.owners.push_back(owner.key);
    if (!owner.result.is_object() || !target.dns.is_empty()) continue;
    target.dns = cni::Result::from_json(owner.result, cni::kNewestVersion).dns;
  }
  return target;
}

Records owners_of_sharer(const Records& all, const ipam::AttachmentRecord& sharer,
                         const SharedNetns& shared) {
  Records owners;
  std::copy_if(all.begin(), all.end(), std::back_inserter(owners), [&](const ipam::AttachmentRecord& record) {
    const bool listed =
        std::find(shared.owners.begin(), shared.owners.end(), record.key) != shared.owners.end();
    return listed && record.netns_cookie == sharer.netns_cookie && left_parts(record).empty();
  });
  if (owners.empty() && !shared.owners.empty()) {
    refuse_dead(sharer, "it only shares that of " +
                            (shared.owner_name.empty() ? shared.target : shared.owner_name) +
                            ", which has been removed");
  }
  return owners;
}

/// By the records of one container, its own or those of the container that it shares with.
ShareTarget target_of(const Records& all, const Records& container) {
  const ipam::AttachmentRecord& first = container.front();
  const std::optional<SharedNetns> shared = shared_netns(first);
  if (!shared) return target_of_owners(container);
  require_shareable(first);
  const Records owners = owners_of_sharer(all, first, *shared);
  if (!owners.empty()) return target_of_owners(owners);
  return {open_verified(first), first.netns_cookie, first.netns_path, {}, {}, {}};  // nobody's, or the host's
}

/// Whoever has this namespace in the store is counted on, however it was named.
ShareTarget target_at(const Records& all, const std::string& path) {
  netlink::Netns netns = netlink::Netns::open(path);
  const std::uint64_t cookie = netns.cookie();
  Records owners;
  std::copy_if(all.begin(), all.end(), std::back_inserter(owners), [&](const ipam::AttachmentRecord& record) {
    return record.netns_cookie == cookie && share_part(record) == nullptr;
  });
  ShareTarget target{std::move(netns), cookie, path, {}, {}, {}};
  if (owners.empty()) return target;
  for (const ipam::AttachmentRecord& owner : owners) {
    require_shareable(owner);
    target.owners.push_back(owner.key);
    if (owner.result.is_object() && target.dns.is_empty())
      target.dns = cni::Result::from_json(owner.result, cni::kNewestVersion).dns;
  }
  target.owner_name = owners.front().container_name;
  return target;
}

ShareTarget find(Host& host, const Records& all, const std::string& asked) {
  const std::string text = without_prefix(asked, "container:");
  if (text.empty()) {
    throw Error(ErrorCode::kInvalidConfig,
                "it is not said whose namespace is to be shared; name a container in netctl.share, in "
                "runtimeConfig.share, or as SHARE= in CNI_ARGS");
  }
  if (text.front() == '/') return target_at(all, text);
  const std::string pid = without_prefix(text, "pid:");
  if (pid != text && is_number(pid)) return target_at(all, "/proc/" + pid + "/ns/net");
  const Records matches = best_matches(all, text);
  if (matches.empty() && is_number(text)) return target_at(all, "/proc/" + text + "/ns/net");
  if (matches.empty()) {
    throw Error(
        ErrorCode::kInvalidConfig,
        "no container is called \"" + text +
            "\"; `netctl ps` lists those that are known, any other is named by its PID or the path of "
            "its network namespace");
  }
  const Records container = without_dead(host, matches);
  require_one_container(container, text);
  return target_of(all, container);
}

}  // namespace

ShareTarget host_target() {
  netlink::Netns netns = netlink::Netns::current();
  const std::uint64_t cookie = netns.cookie();
  return {std::move(netns), cookie, {}, {}, {}, {}};
}

ShareTarget find_share_target(Host& host, const std::string& text, bool allow_host,
                              const ipam::AttachmentKey& sharer) {
  Records all;
  host.live().read([&](const ipam::Transaction& store) { all = store.list_attachments(); });
  std::erase_if(all, [&sharer](const ipam::AttachmentRecord& record) {
    return record.key.container_id == sharer.container_id;
  });
  ShareTarget target = find(host, all, text);
  if (target.cookie == host.netns_cookie() && !allow_host) {
    throw Error(ErrorCode::kInvalidConfig,
                "\"" + text +
                    "\" lives in the host's network namespace, where a container may use every interface and "
                    "service of the host; set netctl.allowHost if this is meant, or use the plugin host");
  }
  return target;
}

}  // namespace netctl::engine
