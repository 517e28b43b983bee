#include <unistd.h>

#include <cerrno>
#include <vector>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "ipam/codec.hpp"
#include "ipam/page_file_internal.hpp"

namespace netctl::ipam {
namespace {

constexpr PageNumber kFirstPage = 2;  // behind the two headers

void require(bool holds, const char* what) {
  if (!holds) throw Damage(what);
}

}  // namespace

std::size_t read_at(int fd, void* to, std::size_t size, std::uint64_t offset) {
  std::size_t done = 0;
  while (done < size) {
    const ssize_t got =
        ::pread(fd, static_cast<char*>(to) + done, size - done, static_cast<off_t>(offset + done));
    if (got == 0) break;
    if (got > 0) {
      done += static_cast<std::size_t>(got);
    } else if (errno != EINTR) {
      throw_errno("read the state store", errno, ErrorCode::kIo);
    }
  }
  return done;
}

std::uint64_t sum_of(std::string_view bytes) {
  return checksum({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
}

PageBytes PageFile::read(PageNumber first, std::size_t count) const {
  constexpr PageNumber kGreatest = PageNumber{1} << 40;
  constexpr std::size_t kLongest = std::size_t{1} << 20;
  require(first < kGreatest && count < kLongest, "a page lies outside the file");
  const std::size_t size = count * page_size_;
  PageBytes bytes(size);
  require(read_at(fd_, bytes.data(), size, first * page_size_) == size, "the file is cut off");
  return bytes;
}

std::pair<MetaPage, std::uint64_t> PageFile::read_meta(PageNumber number) const {
  MetaPage meta{};
  require(read_at(fd_, &meta, sizeof(meta), number * page_size_) == sizeof(meta), "the file is cut off");
  return {meta, sum_of({reinterpret_cast<const char*>(&meta), sizeof(meta)})};
}

PageBytes PageFile::read_node(PageNumber number, PageFlag kind) const {
  PageBytes bytes = read(number);
  const Page page(bytes.view());
  require(page.number() == number && page.flags() == kind, "a page is not what it should be");
  return bytes;
}

PageBytes PageFile::read_run(PageNumber first, std::size_t value_size) const {
  const std::size_t pages = (Page::kHeaderSize + value_size + page_size_ - 1) / page_size_;
  PageBytes bytes = read(first, pages);
  const Page page(bytes.view());
  require(page.number() == first && page.flags() == kOverflowPage && page.run_length() == pages,
          "a page is not what it should be");
  return bytes;
}

namespace {

class Examination {
 public:
  Examination(const PageFile& file, const MetaPage& meta,
              const std::function<void(PageNumber, std::uint64_t)>& found)
      : file_(file), meta_(meta), found_(found), owned_(meta.last_page + 1) {}

  void run() {
    examine_tree(meta_.main, [this](std::string_view key, std::string_view value) {
      require(last_key_ < key, "records are out of order");
      last_key_ = key;
      (void)unseal(last_key_, value);
    });
    examine_tree(meta_.free_list,
                 [this](std::string_view, std::string_view value) { own_free_pages(value); });
  }

 private:
  using Visit = std::function<void(std::string_view key, std::string_view value)>;

  void examine_tree(const TreeHeader& tree, const Visit& visit) {
    seen_ = {};
    if (tree.root != kNoPage) examine_page(tree.root, 1, tree, visit);
    require(seen_.branch_pages == tree.branch_pages && seen_.leaf_pages == tree.leaf_pages &&
                seen_.overflow_pages == tree.overflow_pages && seen_.entries == tree.entries,
            "a header counts other pages or records than there are");
  }

  void examine_page(PageNumber number, unsigned level, const TreeHeader& tree, const Visit& visit) {
    const bool is_leaf = level == tree.depth;
    own(number, 1);
    const PageBytes bytes = file_.read_node(number, is_leaf ? kLeafPage : kBranchPage);
    found_(number, sum_of(bytes.view()));
    const Page page(bytes.view());
    if (!is_leaf) {
      ++seen_.branch_pages;
      for (std::size_t i = 0; i < page.count(); ++i) examine_page(page.child(i), level + 1, tree, visit);
      return;
    }
    ++seen_.leaf_pages;
    seen_.entries += page.count();
    for (std::size_t i = 0; i < page.count(); ++i) {
      if (page.has_run(i)) {
        examine_run(page, i, visit);
      } else {
        visit(page.key(i), page.value(i));
      }
    }
  }

  void examine_run(const Page& leaf, std::size_t index, const Visit& visit) {
    const PageBytes bytes = file_.read_run(leaf.run(index), leaf.value_size(index));
    const Page run(bytes.view());
    own(run.number(), run.run_length());
    seen_.overflow_pages += run.run_length();
    found_(run.number(), sum_of(bytes.view()));
    visit(leaf.key(index), run.run_value(leaf.value_size(index)));
  }

  /// A record of the free list: how many, and which.
  void own_free_pages(std::string_view value) {
    const auto number_at = [&](std::size_t index) {
      require(value.size() >= (index + 1) * sizeof(PageNumber), "the free list is damaged");
      PageNumber number = 0;
      std::memcpy(&number, value.data() + index * sizeof(number), sizeof(number));
      return number;
    };
    const PageNumber count = number_at(0);
    require(count < value.size(), "the free list is damaged");
    for (PageNumber i = 1; i <= count; ++i) own(number_at(i), 1);
  }

  void own(PageNumber first, PageNumber count) {
    for (PageNumber number = first; number < first + count; ++number) {
      require(number >= kFirstPage && number < owned_.size(), "a page lies outside the file");
      require(!owned_[number], "a page has two owners");
      owned_[number] = true;
    }
  }

  const PageFile& file_;
  const MetaPage& meta_;
  const std::function<void(PageNumber, std::uint64_t)>& found_;
  std::vector<bool> owned_;
  TreeHeader seen_{};
  std::string last_key_;
};

}  // namespace

void examine_everything(const PageFile& file, const MetaPage& meta,
                        const std::function<void(PageNumber, std::uint64_t)>& found) {
  Examination(file, meta, found).run();
}

}  // namespace netctl::ipam
