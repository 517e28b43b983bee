#pragma once
// The file format of LMDB 0.9 (lmdb's mdb.c: MDB_page, MDB_node, MDB_meta, MDB_db), as far as it takes to check a file
// before LMDB believes it. Numbers are in the machine's own byte order.

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "ipam/damage_internal.hpp"

namespace netctl::ipam {

using PageNumber = std::uint64_t;
inline constexpr PageNumber kNoPage = ~PageNumber{0};

struct TreeHeader {
  std::uint32_t pad;
  std::uint16_t flags;
  std::uint16_t depth;
  std::uint64_t branch_pages, leaf_pages, overflow_pages, entries;
  PageNumber root;
};

/// Pages 0 and 1; the one of the younger transaction counts.
struct MetaPage {
  PageNumber number;
  std::uint16_t page_pad, page_flags, page_lower, page_upper;
  std::uint32_t magic, version;
  std::uint64_t address, map_size;
  TreeHeader free_list;  // its pad is the page size
  TreeHeader main;
  PageNumber last_page;
  std::uint64_t transaction;
};

enum PageFlag : std::uint16_t {
  kBranchPage = 0x01,
  kLeafPage = 0x02,
  kOverflowPage = 0x04,
  kMetaPage = 0x08
};

/// One page of a tree, or the first of a run that holds one big value. Every access is checked: Damage.
class Page {
 public:
  static constexpr std::size_t kHeaderSize = 16;

  explicit Page(std::string_view bytes) : bytes_(bytes) {}

  [[nodiscard]] PageNumber number() const { return at<PageNumber>(0); }
  [[nodiscard]] std::uint16_t flags() const { return at<std::uint16_t>(10); }
  /// Pages of the run.
  [[nodiscard]] std::uint32_t run_length() const { return at<std::uint32_t>(12); }
  [[nodiscard]] std::size_t count() const {
    const auto end = at<std::uint16_t>(12);
    if (end < kHeaderSize || end > bytes_.size()) throw Damage("a page has an impossible table of contents");
    return (end - kHeaderSize) / sizeof(std::uint16_t);
  }
  /// Bytes that are in use, of all of the page.
  [[nodiscard]] std::size_t used() const {
    const auto lower = at<std::uint16_t>(12);
    const auto upper = at<std::uint16_t>(14);
    if (upper < lower || upper > bytes_.size()) throw Damage("a page has an impossible table of contents");
    return bytes_.size() - (std::size_t{upper} - lower);
  }
  [[nodiscard]] std::string_view key(std::size_t index) const {
    const std::size_t node = node_at(index);
    return part(node + kNodeHeaderSize, at<std::uint16_t>(node + 6));
  }
  /// Of a branch.
  [[nodiscard]] PageNumber child(std::size_t index) const {
    const std::size_t node = node_at(index);
    return PageNumber{at<std::uint32_t>(node)} | PageNumber{at<std::uint16_t>(node + 4)} << 32;
  }
  /// Of a leaf: does the value lie in a run of pages of its own?
  [[nodiscard]] bool has_run(std::size_t index) const {
    return (at<std::uint16_t>(node_at(index) + 4) & 1) != 0;
  }
  [[nodiscard]] PageNumber run(std::size_t index) const {
    return at<PageNumber>(node_at(index) + kNodeHeaderSize + key(index).size());
  }
  [[nodiscard]] std::size_t value_size(std::size_t index) const { return at<std::uint32_t>(node_at(index)); }
  /// Of a leaf, where the value lies in the page.
  [[nodiscard]] std::string_view value(std::size_t index) const {
    return part(node_at(index) + kNodeHeaderSize + key(index).size(), value_size(index));
  }
  /// Of the first page of a run that was read whole.
  [[nodiscard]] std::string_view run_value(std::size_t size) const { return part(kHeaderSize, size); }

  /// The child of a branch under which `key` belongs. The first one's own key does not count.
  [[nodiscard]] std::size_t child_for(std::string_view key_below) const {
    std::size_t low = 0;
    std::size_t high = count();
    while (high - low > 1) {
      const std::size_t middle = low + (high - low) / 2;
      (key(middle) <= key_below ? low : high) = middle;
    }
    return low;
  }

 private:
  static constexpr std::size_t kNodeHeaderSize = 8;

  [[nodiscard]] std::size_t node_at(std::size_t index) const {
    return at<std::uint16_t>(kHeaderSize + index * sizeof(std::uint16_t));
  }
  [[nodiscard]] std::string_view part(std::size_t offset, std::size_t size) const {
    if (offset > bytes_.size() || size > bytes_.size() - offset) throw Damage("a page points outside itself");
    return bytes_.substr(offset, size);
  }
  template <class Number>
  [[nodiscard]] Number at(std::size_t offset) const {
    Number value{};
    std::memcpy(&value, part(offset, sizeof(Number)).data(), sizeof(Number));
    return value;
  }
  std::string_view bytes_;
};

}  // namespace netctl::ipam
