#pragma once
// The store as a file: where it lies, whether it may be trusted, how it is put aside.

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

namespace netctl::ipam {

struct StoreFile {
  ino_t inode = 0;
  std::size_t page_size = 0;
};

/// Looks at a store before LMDB maps it: LMDB believes what its two headers say, and touching a page behind the end of
/// a cut file kills the process. False when there is no such file. The inode is set before anything can be
/// found wrong. Errors: Damage.
[[nodiscard]] bool check_store_file(const std::string& path, StoreFile& file);

/// Renames a damaged file, if it still is the one with this inode. To be called with the store lock held exclusively.
/// The new name.
std::string put_aside(const std::string& path, ino_t inode);

/// Removes the live stores of other boots with their lock files. Those of this boot belong to other namespaces.
void remove_stores_of_other_boots(const std::string& directory, const std::string& boot_id);

void sync_directory(const std::string& directory);

}  // namespace netctl::ipam
