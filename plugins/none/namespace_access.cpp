#include "plugins/none/namespace_access.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "base/error.hpp"
#include "plugins/engine/sharing.hpp"

namespace netctl::none {
namespace {

/// Reads only, and where there is no store creates none.
bool was_given_the_host(const cni::Invocation& invocation, std::uint64_t own_cookie) {
  const auto live = ipam::Store::open_live_if_present(ipam::Store::default_directory(), own_cookie);
  bool given = false;
  const auto look = [&](const ipam::Transaction& store) {
    const auto records = store.list_attachments();
    given = std::any_of(records.begin(), records.end(), [&](const ipam::AttachmentRecord& record) {
      return record.key.container_id == invocation.container_id && record.netns_cookie == own_cookie &&
             engine::share_part(record) != nullptr;
    });
  };
  if (live) live->read(look);
  return given;
}

bool is_bare_file(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) && status.st_size == 0;
}

engine::Container enter_at_once(const cni::Invocation& invocation) {
  const netlink::Netns own = netlink::Netns::current();
  const bool allowed = invocation.netns_override || (netlink::Netns::open(invocation.netns).is_same_as(own) &&
                                                     was_given_the_host(invocation, own.cookie()));
  return engine::Container::enter(invocation.netns, allowed);
}

}  // namespace

engine::Container enter(const cni::Invocation& invocation) {
  constexpr int kAttempts = 50;
  constexpr std::chrono::milliseconds kPause{2};
  for (int attempt = 0;; ++attempt) {
    try {
      return enter_at_once(invocation);
    } catch (const Error& error) {
      const bool exchanged = error.code() == ErrorCode::kInvalidNetns && is_bare_file(invocation.netns);
      if (!exchanged || attempt == kAttempts) throw;
    }
    std::this_thread::sleep_for(kPause);
  }
}

}  // namespace netctl::none
