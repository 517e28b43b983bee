#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "ipam/page_file_internal.hpp"
#include "ipam/page_sums_internal.hpp"

namespace netctl::ipam {
namespace {

// Slots of the header.
constexpr std::size_t kTransaction = 0;
constexpr std::size_t kPending = 1;
constexpr std::size_t kBoot = 2;
constexpr std::size_t kSum = 3;

}  // namespace

PageSums::PageSums(const std::string& path, const std::string& boot_id)
    : path_(path), boot_(hash_parts({"page sums", boot_id}).high()) {
  constexpr mode_t kPrivate = 0600;
  fd_ = UniqueFd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, kPrivate));
  if (!fd_) throw_errno("open " + path, errno, ErrorCode::kIo);
}

void PageSums::begin() { chunks_.clear(); }

PageSums::Chunk& PageSums::chunk(std::uint64_t index) {
  const auto [found, is_new] = chunks_.try_emplace(index);
  Chunk& wanted = found->second;
  if (is_new) {
    const std::size_t got =
        read_at(fd_.get(), wanted.slots.data(), sizeof(wanted.slots), index * sizeof(wanted.slots));
    // Zero is no page's checksum in practice.
    std::fill(wanted.slots.begin() + static_cast<std::ptrdiff_t>(got / sizeof(std::uint64_t)),
              wanted.slots.end(), 0);
  }
  return wanted;
}

std::uint64_t PageSums::header_sum(const Chunk& first) const {
  return checksum({reinterpret_cast<const std::uint8_t*>(first.slots.data()), kSum * sizeof(std::uint64_t)});
}

PageSums::Header PageSums::header() {
  const Chunk& first = chunk(0);
  const bool whole = first.slots[kSum] == header_sum(first);
  return {first.slots[kTransaction], first.slots[kPending] != 0, whole && first.slots[kBoot] == boot_};
}

void PageSums::set_header(std::uint64_t transaction, bool pending) {
  Chunk& first = chunk(0);
  first.slots[kTransaction] = transaction;
  first.slots[kPending] = pending ? 1 : 0;
  first.slots[kBoot] = boot_;
  first.slots[kSum] = header_sum(first);
  constexpr std::size_t kSize = kHeaderSlots * sizeof(std::uint64_t);
  if (::pwrite(fd_.get(), first.slots.data(), kSize, 0) != static_cast<ssize_t>(kSize)) {
    throw_errno("write " + path_, errno, ErrorCode::kIo);
  }
}

std::uint64_t PageSums::get(PageNumber page) {
  const std::uint64_t slot = page + kHeaderSlots;
  return chunk(slot / kSlots).slots[slot % kSlots];
}

void PageSums::set(PageNumber page, std::uint64_t sum) {
  const std::uint64_t slot = page + kHeaderSlots;
  Chunk& changing = chunk(slot / kSlots);
  changing.slots[slot % kSlots] = sum;
  changing.changed_from = std::min(changing.changed_from, slot % kSlots);
  changing.changed_to = std::max(changing.changed_to, slot % kSlots + 1);
}

void PageSums::flush() {
  for (auto& [index, each] : chunks_) {
    if (each.changed_from >= each.changed_to) continue;
    const std::size_t size = (each.changed_to - each.changed_from) * sizeof(std::uint64_t);
    const std::size_t offset = (index * kSlots + each.changed_from) * sizeof(std::uint64_t);
    const ssize_t put =
        ::pwrite(fd_.get(), each.slots.data() + each.changed_from, size, static_cast<off_t>(offset));
    if (put != static_cast<ssize_t>(size)) throw_errno("write " + path_, errno, ErrorCode::kIo);
    each.changed_from = kSlots;
    each.changed_to = 0;
  }
}

}  // namespace netctl::ipam
