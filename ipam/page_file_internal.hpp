#pragma once
// The pages of a store, read one by one: no page of a mapping has to be touched to find out whether it may be.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <utility>

#include "ipam/lmdb_page_internal.hpp"

namespace netctl::ipam {

/// Checksum of bytes of the file.
[[nodiscard]] std::uint64_t sum_of(std::string_view bytes);

/// Reads `size` bytes at `offset`, fewer only at the end of the file; how many. Signals do not disturb it.
/// Errors: kIo, never Damage: a file that cannot be read now may be in perfect order.
[[nodiscard]] std::size_t read_at(int fd, void* to, std::size_t size, std::uint64_t offset);

/// Bytes that are not filled with zeros before they are read: with a page every microsecond that is seen.
class PageBytes {
 public:
  explicit PageBytes(std::size_t size) : bytes_(std::make_unique_for_overwrite<char[]>(size)), size_(size) {}
  [[nodiscard]] char* data() { return bytes_.get(); }
  [[nodiscard]] std::string_view view() const { return {bytes_.get(), size_}; }

 private:
  std::unique_ptr<char[]> bytes_;
  std::size_t size_;
};

class PageFile {
 public:
  PageFile(int fd, std::size_t page_size) : fd_(fd), page_size_(page_size) {}

  // Errors: Damage when the file ends before.
  [[nodiscard]] PageBytes read(PageNumber first, std::size_t count = 1) const;
  /// The header in page 0 or 1, and its checksum.
  [[nodiscard]] std::pair<MetaPage, std::uint64_t> read_meta(PageNumber number) const;
  /// A page that is a node of a tree.
  [[nodiscard]] PageBytes read_node(PageNumber number, PageFlag kind) const;
  /// A run that holds one value.
  [[nodiscard]] PageBytes read_run(PageNumber first, std::size_t value_size) const;

 private:
  int fd_;
  std::size_t page_size_;
};

/// Reads a whole store and calls `found` with every page in use (runs: the first) and its checksum.
/// Errors: Damage for whatever cannot be as it is: structure, order of keys, checksums of records, counts, pages with two
/// owners.
void examine_everything(const PageFile& file, const MetaPage& meta,
                        const std::function<void(PageNumber, std::uint64_t)>& found);

}  // namespace netctl::ipam
