#include <array>

#include "base/error.hpp"
#include "ipam/page_guard_internal.hpp"

namespace netctl::ipam {

void PageGuard::begin(bool writable) {
  branches_.clear();
  leaves_.clear();
  added_ = removed_ = 0;
  sums_.begin();
  const auto [even, sum_of_even] = file_.read_meta(0);
  const auto [odd, sum_of_odd] = file_.read_meta(1);
  meta_ = even.transaction > odd.transaction ? even : odd;
  old_pages_.assign(meta_.last_page + 1, false);

  const PageSums::Header header = sums_.header();
  const bool commit_was_cut_short = header.pending && meta_.transaction == header.transaction;
  if (!header.valid || commit_was_cut_short) {
    examine_everything(file_, meta_, [this](PageNumber page, std::uint64_t sum) { sums_.set(page, sum); });
    sums_.set(0, sum_of_even);
    sums_.set(1, sum_of_odd);
    sums_.flush();
    sums_.set_header(meta_.transaction, false);
  } else {
    // A pending transaction that never reached the file has changed nothing that is in use. The header that it was to
    // have (they take turns) may hold anything: LMDB writes a failed one over with something like the old.
    const std::uint64_t expected = header.transaction - (header.pending ? 1 : 0);
    const std::array<std::uint64_t, 2> found{sum_of_even, sum_of_odd};
    const std::uint64_t in_use = expected & 1;
    const bool other_differs = sums_.get(1 - in_use) != found[1 - in_use];
    if (meta_.transaction != expected || sums_.get(in_use) != found[in_use] ||
        (other_differs && !header.pending)) {
      throw Damage("a header is not the one that was written");
    }
    if (other_differs) sums_.set(1 - in_use, found[1 - in_use]);
  }
  for (const TreeHeader* tree : {&meta_.main, &meta_.free_list}) {
    if (tree->root != kNoPage) note_old(tree->root);
  }
  // Whoever writes takes pages from the free list, and a wrong one there would be one that is in use.
  if (writable && meta_.free_list.root != kNoPage) check_all(meta_.free_list.root, 1, meta_.free_list);
}

void PageGuard::compare_sum(PageNumber number, std::string_view bytes) {
  if (sums_.get(number) != sum_of(bytes))
    throw Damage("page " + std::to_string(number) + " has a wrong checksum");
}

Page PageGuard::check_branch(PageNumber number) {
  const auto known = branches_.find(number);
  if (known != branches_.end()) return Page(known->second.view());
  PageBytes bytes = file_.read_node(number, kBranchPage);
  compare_sum(number, bytes.view());
  const Page page(branches_.emplace(number, std::move(bytes)).first->second.view());
  for (std::size_t i = 0; i < page.count(); ++i) note_old(page.child(i));
  return page;
}

std::size_t PageGuard::check_leaf(PageNumber number) {
  const auto [known, is_new] = leaves_.try_emplace(number);
  if (!is_new) return known->second;
  const PageBytes bytes = file_.read_node(number, kLeafPage);
  compare_sum(number, bytes.view());
  const Page page(bytes.view());
  for (std::size_t i = 0; i < page.count(); ++i) {
    if (page.has_run(i)) check_run(page.run(i), page.value_size(i));
  }
  return known->second = page.used();
}

void PageGuard::check_run(PageNumber first, std::size_t value_size) {
  compare_sum(first, file_.read_run(first, value_size).view());
  note_old(first);
}

std::optional<std::string> PageGuard::check_path(std::string_view key) {
  std::optional<std::string> next_leaf;
  check_way(key, &next_leaf);
  return next_leaf;
}

std::size_t PageGuard::check_way(std::string_view key, std::optional<std::string>* next_leaf) {
  PageNumber number = meta_.main.root;
  if (number == kNoPage) return 0;
  for (unsigned level = 1; level < meta_.main.depth; ++level) {
    const Page branch = check_branch(number);
    const std::size_t index = branch.child_for(key);
    if (next_leaf != nullptr && index + 1 < branch.count()) *next_leaf = branch.key(index + 1);
    number = branch.child(index);
  }
  return check_leaf(number);
}

namespace {

/// What LMDB needs beside key and value of a record, generously.
constexpr std::size_t kOverhead = 16;

}  // namespace

void PageGuard::check_for_put(std::string_view key, std::size_t size) {
  added_ += size + kOverhead;
  check_way(key, nullptr);
}

void PageGuard::check_for_erase(std::string_view key, std::size_t size) {
  removed_ += size + kOverhead;
  const std::size_t used = check_way(key, nullptr);
  // LMDB merges pages of which less than a quarter is used. A page that was split in this transaction may be one.
  const bool may_have_been_split = used + added_ > page_size_;
  const bool may_be_merged = used < removed_ + page_size_ / 3;
  if (may_have_been_split || may_be_merged) check_beside(key);
}

void PageGuard::check_beside(std::string_view key) {
  PageNumber number = meta_.main.root;
  for (unsigned level = 1; number != kNoPage && level < meta_.main.depth; ++level) {
    const Page branch = check_branch(number);
    const std::size_t index = branch.child_for(key);
    check_leftmost(branch.child(index), level + 1);
    if (index > 0) check_leftmost(branch.child(index - 1), level + 1);
    if (index + 1 < branch.count()) check_leftmost(branch.child(index + 1), level + 1);
    number = branch.child(index);
  }
}

void PageGuard::check_leftmost(PageNumber number, unsigned level) {
  for (; level < meta_.main.depth; ++level) number = check_branch(number).child(0);
  check_leaf(number);
}

void PageGuard::check_all(PageNumber number, unsigned level, const TreeHeader& tree) {
  if (level == tree.depth) {
    check_leaf(number);
    return;
  }
  const Page branch = check_branch(number);
  for (std::size_t i = 0; i < branch.count(); ++i) check_all(branch.child(i), level + 1, tree);
}

void PageGuard::before_commit() { sums_.set_header(meta_.transaction + 1, true); }

void PageGuard::after_commit() {
  const auto [meta, sum] = file_.read_meta((meta_.transaction + 1) % 2);
  if (meta.transaction != meta_.transaction + 1) return;  // there was nothing to write
  for (const TreeHeader* tree : {&meta.main, &meta.free_list}) sum_new(tree->root, 1, *tree);
  sums_.set(meta.number, sum);
  try {
    sums_.flush();
    sums_.set_header(meta.transaction, false);
  } catch (const Error&) {
    // The transaction itself is done. The header keeps saying `pending`, so that the next one examines the file.
    return;
  }
}

void PageGuard::note_old(PageNumber number) {
  if (number >= old_pages_.size()) throw Damage("a page points outside the file");
  old_pages_[number] = true;
}

bool PageGuard::is_old(PageNumber number) const { return number < old_pages_.size() && old_pages_[number]; }

/// LMDB never writes to a page in use: what a transaction changed is in new pages, and so are all pages above it.
void PageGuard::sum_new(PageNumber number, unsigned level, const TreeHeader& tree) {
  if (number == kNoPage || is_old(number)) return;
  const bool is_leaf = level == tree.depth;
  const PageBytes bytes = file_.read_node(number, is_leaf ? kLeafPage : kBranchPage);
  sums_.set(number, sum_of(bytes.view()));
  const Page page(bytes.view());
  for (std::size_t i = 0; i < page.count(); ++i) {
    if (!is_leaf) {
      sum_new(page.child(i), level + 1, tree);
    } else if (page.has_run(i) && !is_old(page.run(i))) {
      sums_.set(page.run(i), sum_of(file_.read_run(page.run(i), page.value_size(i)).view()));
    }
  }
}

}  // namespace netctl::ipam
