#pragma once
// Stands between a transaction and LMDB: every page that LMDB is about to look at is compared with its checksum first, so
// that LMDB only ever sees what it wrote itself.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ipam/page_file_internal.hpp"
#include "ipam/page_sums_internal.hpp"

namespace netctl::ipam {

class PageGuard {
 public:
  /// `fd` is LMDB's own and has to outlive this.
  PageGuard(int fd, std::size_t page_size, const std::string& sums_path, const std::string& boot_id)
      : page_size_(page_size), file_(fd, page_size), sums_(sums_path, boot_id) {}

  // All errors: Damage, kIo. All to be called with the store lock held.

  /// At the start of a transaction. Where the checksums do not belong to the file (a writer was killed between the two,
  /// or the machine was), everything is examined once and summed anew.
  void begin(bool writable);
  /// Checks the pages on the way to `key`. The key with which the next leaf begins, if there is one.
  std::optional<std::string> check_path(std::string_view key);
  /// The same before a record of `size` bytes (key and value) is written.
  void check_for_put(std::string_view key, std::size_t size);
  /// And before one is erased: LMDB looks at the pages beside the way too when that leaves a page nearly empty.
  void check_for_erase(std::string_view key, std::size_t size);
  void before_commit();
  /// Also to be called when nothing was written.
  void after_commit();

 private:
  // `level` counts from 1 at the root; leaves are at the tree's depth.
  Page check_branch(PageNumber number);
  /// How many bytes of it are used.
  std::size_t check_leaf(PageNumber number);
  std::size_t check_way(std::string_view key, std::optional<std::string>* next_leaf);
  void check_beside(std::string_view key);
  void check_run(PageNumber first, std::size_t value_size);
  void check_all(PageNumber number, unsigned level, const TreeHeader& tree);
  void check_leftmost(PageNumber number, unsigned level);
  void compare_sum(PageNumber number, std::string_view bytes);
  void sum_new(PageNumber number, unsigned level, const TreeHeader& tree);
  void note_old(PageNumber number);
  [[nodiscard]] bool is_old(PageNumber number) const;

  std::size_t page_size_;
  PageFile file_;
  PageSums sums_;
  MetaPage meta_{};
  std::map<PageNumber, PageBytes> branches_;  // verified
  std::map<PageNumber, std::size_t> leaves_;  // verified -> bytes used
  std::size_t added_ = 0, removed_ = 0;       // bytes, by this transaction
  std::vector<bool> old_pages_;               // in the trees as they were at the start, as far as looked at
};

}  // namespace netctl::ipam
