#include "plugins/engine/reference_leases.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <thread>

#include "base/error.hpp"

namespace netctl::engine {
namespace {

constexpr const char* kLockFile = "lock";
// Container ids have no limit; this is beyond what anybody uses.
constexpr std::size_t kContentLimit = 8192;

/// nullopt when there is no such file.
std::optional<std::string> read_lease_file(int folder, const std::string& name) {
  const UniqueFd file(::openat(folder, name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file) {
    if (errno == ENOENT) return std::nullopt;
    throw_errno("read the lease file " + name, errno, ErrorCode::kIo);
  }
  std::string content;
  std::array<char, 512> chunk{};
  ssize_t size = 0;
  while (content.size() < kContentLimit && (size = ::read(file.get(), chunk.data(), chunk.size())) > 0) {
    content.append(chunk.data(), static_cast<std::size_t>(size));
  }
  return content;
}

bool is_word(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char letter) {
    return letter > 0x20 && letter < 0x7f && letter != '/';
  });
}

/// "<id>\r\n<ifname>", or "<id>" alone as old versions wrote it. Anything else is nobody's.
ReferenceLease parse(const IpAddress& address, const std::string& content) {
  ReferenceLease lease{address, {}, {}};
  const std::size_t end = content.find("\r\n");
  std::string id = content.substr(0, end);
  std::string ifname = end == std::string::npos ? std::string() : content.substr(end + 2);
  while (!ifname.empty() && (ifname.back() == '\n' || ifname.back() == '\r')) ifname.pop_back();
  while (end == std::string::npos && !id.empty() && (id.back() == '\n' || id.back() == '\r')) id.pop_back();
  if (!is_word(id) || (end != std::string::npos && !is_word(ifname))) return lease;
  lease.container_id = std::move(id);
  lease.ifname = std::move(ifname);
  return lease;
}

class FolderLock {
 public:
  FolderLock(int folder, const std::string& path, std::chrono::milliseconds patience)
      : file_(::openat(folder, kLockFile, O_RDONLY | O_CLOEXEC)) {
    if (!file_)
      return;  // the reference makes it before its first lease: whoever wrote these files took no lock
    constexpr std::chrono::milliseconds kPause(10);
    const auto end = std::chrono::steady_clock::now() + patience;
    while (::flock(file_.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK && errno != EINTR) throw_errno("lock " + path, errno, ErrorCode::kIo);
      if (std::chrono::steady_clock::now() > end) {
        throw Error(ErrorCode::kTryAgainLater,
                    "another host-local works on " + path + " and does not end; try again");
      }
      std::this_thread::sleep_for(kPause);
    }
  }

 private:
  UniqueFd file_;  // closing it gives the lock back
};

}  // namespace

std::optional<ReferenceLeases> ReferenceLeases::open(const std::string& data_directory,
                                                     const std::string& network) {
  std::string path = data_directory + "/" + network;
  UniqueFd folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder) return ReferenceLeases(std::move(path), std::move(folder));
  if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
  throw_errno("look for leases of the reference's host-local in " + path, errno, ErrorCode::kIo);
}

std::optional<ReferenceLease> ReferenceLeases::find(const IpAddress& address) const {
  const auto content = read_lease_file(folder_.get(), address.to_string());
  if (!content) return std::nullopt;
  return parse(address, *content);
}

std::vector<ReferenceLease> ReferenceLeases::list() const {
  std::vector<ReferenceLease> leases;
  UniqueFd copy(::openat(folder_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!copy) throw_errno("read the folder " + path_, errno, ErrorCode::kIo);
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(::fdopendir(copy.get()), ::closedir);
  if (!entries) throw_errno("read the folder " + path_, errno, ErrorCode::kIo);
  (void)copy.release();  // closedir() closes it
  while (const dirent* entry = ::readdir(entries.get())) {
    const auto address = IpAddress::parse(entry->d_name);
    if (!address) continue;  // lock, last_reserved_ip.N
    const auto content = read_lease_file(folder_.get(), entry->d_name);
    if (content) leases.push_back(parse(*address, *content));
  }
  std::sort(leases.begin(), leases.end(),
            [](const auto& one, const auto& other) { return one.address < other.address; });
  return leases;
}

std::vector<ReferenceLease> ReferenceLeases::list(const std::string& container_id,
                                                  const std::string& ifname) const {
  std::vector<ReferenceLease> exact;
  std::vector<ReferenceLease> by_id;
  for (ReferenceLease& lease : list()) {
    if (lease.container_id != container_id) continue;
    if (lease.ifname == ifname) {
      exact.push_back(std::move(lease));
    } else if (lease.ifname.empty()) {
      by_id.push_back(std::move(lease));
    }
  }
  return exact.empty() ? by_id : exact;
}

void ReferenceLeases::remove(const std::vector<ReferenceLease>& leases,
                             std::chrono::milliseconds patience) const {
  if (leases.empty()) return;
  const FolderLock lock(folder_.get(), path_, patience);
  for (const ReferenceLease& lease : leases) {
    const auto present = find(lease.address);
    if (!present || present->container_id != lease.container_id || present->ifname != lease.ifname) continue;
    const std::string name = lease.address.to_string();
    if (::unlinkat(folder_.get(), name.c_str(), 0) != 0 && errno != ENOENT)
      throw_errno("remove the lease file " + path_ + "/" + name, errno, ErrorCode::kIo);
  }
}

std::string describe(const ReferenceLeases& leases, const ReferenceLease& lease) {
  const std::string file = "the lease file " + leases.path() + "/" + lease.address.to_string();
  if (lease.container_id.empty()) return file + ", which names no container";
  const std::string interface = lease.ifname.empty() ? "" : ", interface " + lease.ifname;
  return "container " + lease.container_id.substr(0, 12) + interface + " by " + file;
}

}  // namespace netctl::engine
