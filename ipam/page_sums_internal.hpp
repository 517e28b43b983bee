#pragma once
// A checksum for every page of a store, in a file beside it (<store>.sums). LMDB 0.9 has none, and one wrong bit in a page
// makes it lose records without a word.

#include <array>
#include <cstdint>
#include <map>
#include <string>

#include "base/unique_fd.hpp"
#include "ipam/lmdb_page_internal.hpp"

namespace netctl::ipam {

class PageSums {
 public:
  /// What the file says about itself. A store is written in the order: pending n, transaction n, sums, committed n.
  struct Header {
    std::uint64_t transaction = 0;
    bool pending = false;
    bool valid =
        false;  ///< false: new, of an earlier boot (only the page cache keeps the two files in step), or damaged
  };

  /// Errors: kIo.
  PageSums(const std::string& path, const std::string& boot_id);

  /// Forgets what was read: to be called at the start of a transaction, with the store lock held.
  void begin();
  [[nodiscard]] Header header();
  void set_header(std::uint64_t transaction, bool pending);

  [[nodiscard]] std::uint64_t get(PageNumber page);
  /// Reaches the file with flush().
  void set(PageNumber page, std::uint64_t sum);
  void flush();

 private:
  static constexpr std::size_t kSlots = 512;
  static constexpr std::size_t kHeaderSlots = 4;
  struct Chunk {
    // Not `= default`: the slots would be filled with zeros just before they are read.
    Chunk() {  // NOLINT(modernize-use-equals-default)
    }
    std::array<std::uint64_t, kSlots> slots;            // what the file does not have yet is zero
    std::size_t changed_from = kSlots, changed_to = 0;  // slots that the file does not have yet
  };
  Chunk& chunk(std::uint64_t index);
  [[nodiscard]] std::uint64_t header_sum(const Chunk& first) const;

  UniqueFd fd_;
  std::string path_;
  std::uint64_t boot_;
  std::map<std::uint64_t, Chunk> chunks_;
};

}  // namespace netctl::ipam
