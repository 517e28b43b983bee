#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <memory>
#include <vector>

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "ipam/lmdb_page_internal.hpp"
#include "ipam/page_file_internal.hpp"
#include "ipam/store_file_internal.hpp"

namespace netctl::ipam {
namespace {

constexpr std::uint32_t kMagic = 0xBEEFC0DE;
constexpr std::uint32_t kVersion = 1;
constexpr std::uint16_t kMaximumDepth = 32;

void require(bool holds, const char* what) {
  if (!holds) throw Damage(what);
}

MetaPage read_meta(int fd, std::uint64_t offset) {
  MetaPage meta{};
  require(read_at(fd, &meta, sizeof(meta), offset) == sizeof(meta), "the file is cut off");
  return meta;
}

void check_tree(const TreeHeader& tree, const MetaPage& meta) {
  require(tree.root == kNoPage ? tree.depth == 0 : tree.root >= 2 && tree.root <= meta.last_page,
          "a header points outside the file");
  require(tree.depth <= kMaximumDepth, "a header has an impossible depth");
}

void check_meta(const MetaPage& meta, std::uint64_t number) {
  require(meta.magic == kMagic && meta.version == kVersion, "a header is not one of LMDB");
  require(meta.number == number && meta.page_flags == kMetaPage, "a header has the wrong number");
  // Transaction n writes header n % 2; a new file has two of transaction 0.
  require(meta.transaction == 0 || meta.transaction % 2 == number, "a header has the wrong transaction");
}

/// Of the header in use. The other one's trees may be those of a commit that failed: LMDB then puts the old transaction
/// number and size of the file back into it, but not the trees.
void check_trees(const MetaPage& meta, std::uint64_t pages) {
  require(meta.main.flags == 0, "a header has unknown flags");
  check_tree(meta.free_list, meta);
  check_tree(meta.main, meta);
  require(meta.last_page < pages, "the file is cut off");
}

std::optional<struct stat> look_at(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) == 0) return status;
  if (errno == ENOENT) return std::nullopt;
  throw_errno("look at " + path, errno, ErrorCode::kIo);
}

}  // namespace

bool check_store_file(const std::string& path, StoreFile& file) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd && errno == ENOENT) return false;
  if (!fd) throw_errno("open the state store " + path, errno, ErrorCode::kIo);
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) throw_errno("look at " + path, errno, ErrorCode::kIo);
  if (!S_ISREG(status.st_mode)) throw Error(ErrorCode::kIo, path + " is not a regular file; remove it");
  file.inode = status.st_ino;

  const MetaPage first = read_meta(fd.get(), 0);
  const std::uint64_t page_size = first.free_list.pad;
  constexpr std::uint64_t kSmallest = 512;
  constexpr std::uint64_t kGreatest = 65536;
  require(page_size >= kSmallest && page_size <= kGreatest && (page_size & (page_size - 1)) == 0,
          "a header has an impossible page size");
  file.page_size = page_size;
  const MetaPage second = read_meta(fd.get(), page_size);
  require(second.free_list.pad == page_size && second.map_size == first.map_size, "the two headers differ");
  const std::uint64_t newer = std::max(first.transaction, second.transaction);
  require(newer == 0 || newer - std::min(first.transaction, second.transaction) == 1,
          "the two headers do not follow");
  check_meta(first, 0);
  check_meta(second, 1);
  const auto pages = static_cast<std::uint64_t>(status.st_size) / page_size;
  check_trees(second.transaction > first.transaction ? second : first, pages);
  return true;
}

std::string put_aside(const std::string& path, ino_t inode) {
  const std::string aside = path + ".damaged-" + std::to_string(std::time(nullptr));
  const std::optional<struct stat> status = look_at(path);
  if (status && status->st_ino == inode && ::rename(path.c_str(), aside.c_str()) != 0) {
    throw_errno("put the damaged state store " + path + " aside", errno, ErrorCode::kIo);
  }
  return aside;
}

void remove_stores_of_other_boots(const std::string& directory, const std::string& boot_id) {
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(::opendir(directory.c_str()), &::closedir);
  if (!listing) return;
  const std::string ours = "live-" + boot_id + "-";
  std::vector<std::string> stale;
  while (const dirent* entry = ::readdir(listing.get())) {
    const std::string name = static_cast<const char*>(entry->d_name);
    if (name.starts_with("live-") && !name.starts_with(ours)) stale.push_back(directory + "/" + name);
  }
  for (const std::string& path : stale) ::unlink(path.c_str());
}

void sync_directory(const std::string& directory) {
  const UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) throw_errno("write " + directory + " to disk", errno, ErrorCode::kIo);
}

}  // namespace netctl::ipam
