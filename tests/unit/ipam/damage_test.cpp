// Files that are not what was written: the answer is the right data or kStoreDamaged, never a crash, never wrong data.

#include <unistd.h>

#include <fstream>
#include <random>
#include <sstream>

#include "tests/unit/ipam/support.hpp"

namespace netctl::ipam::testing {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

constexpr std::size_t kPageSize = 4096;
constexpr int kContainers = 120;
constexpr int kWrong = 100;  // what a child says with its exit status
int current_file = 0;

std::string read_file(const std::string& path) {
  std::ostringstream bytes;
  bytes << std::ifstream(path, std::ios::binary).rdbuf();
  return bytes.str();
}

void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << bytes;
}

PoolConfig pool() { return pool_of({{range("10.1.0.0/16")}}); }

class Damage : public StoreTest {
 protected:
  void SetUp() override {
    for (int i = 0; i < kContainers; ++i) {
      store_.write([&](Transaction& transaction) { attach(transaction, i); });
    }
    // Free pages and reused ones, as in a store that has lived.
    for (int i = 0; i < kContainers; i += 3) {
      store_.write([&](Transaction& transaction) { detach(transaction, i); });
    }
    path_ = store_.path();
    good_ = read_file(path_);
    good_sums_ = read_file(path_ + ".sums");
  }

  static void attach(Transaction& transaction, int number) {
    AttachmentRecord record = full_attachment(std::to_string(number));
    // Every tenth does not fit into a page.
    if (number % 10 == 0) record.netns_path = std::string(6000, 'n');
    AllocationRequest request;
    request.owner = record.key;
    record.leases = allocate(transaction, pool(), request, {});
    record.ports.resize(1);
    record.ports.front().host_port = static_cast<std::uint16_t>(1000 + number);
    if (claim_port(transaction, record.ports.front(), record.key))
      throw Error(ErrorCode::kPortTaken, "taken");
    transaction.put_attachment(record);
  }

  static void detach(Transaction& transaction, int number) {
    const AttachmentRecord record = transaction.find_attachment(container(std::to_string(number))).value();
    release(transaction, record.leases, record.key, 0);
    release_port(transaction, record.ports.front(), record.key);
    transaction.erase_attachment(record.key);
  }

  /// Leaves with kWrong when the store says something wrong.
  static void require(bool right, const char* what) {
    if (right) return;
    std::fprintf(stderr, "file %d: %s\n", current_file, what);
    ::_exit(kWrong);
  }

  static void require_right(const Transaction& transaction) {
    std::size_t expected = 0;
    for (int i = 0; i < kContainers; ++i) {
      const std::optional<AttachmentRecord> record =
          transaction.find_attachment(container(std::to_string(i)));
      require(record.has_value() == (i % 3 != 0), "an attachment is lost, or one is back");
      if (!record) continue;
      ++expected;
      require(record->host_mac == "02:00:00:00:00:01", "an attachment changed");
      require(find_holder(transaction, pool().id, record->leases.front().address.address) == record->key,
              "a lease");
      require(find_port_owner(transaction, record->ports.front()) == record->key, "a claim is lost");
    }
    require(transaction.list_attachments().size() == expected, "the list of attachments");
    require(list_leases(transaction, pool().id).size() == expected, "the list of leases");
  }

  /// Reads everything, changes much, and puts it back.
  void exercise() const {
    Store store = open();
    store.read(&require_right);
    constexpr int kAtOnce = 24;
    for (int from = 1; from < kContainers; from += kAtOnce) {
      store.write([&](Transaction& transaction) {
        for (int i = from; i < from + kAtOnce; i += 3) detach(transaction, i);
      });
      store.write([&](Transaction& transaction) {
        for (int i = from; i < from + kAtOnce; i += 3) attach(transaction, i);
      });
    }
    store.read(&require_right);
  }

  /// True when the damage was noticed, false when everything was right. Leaves with kWrong otherwise.
  [[nodiscard]] bool is_noticed(const std::string& bytes, const std::string& sums) const {
    write_file(path_, bytes);
    write_file(path_ + ".sums", sums);
    try {
      exercise();
    } catch (const Error& error) {
      require(error.code() == ErrorCode::kStoreDamaged, error.what());
      return true;
    }
    return false;
  }

  /// Tries `count` files as `make(i)` returns them, in child processes. The number of those that were noticed.
  template <class Make>
  int count_noticed(int count, Make make, const std::optional<std::string>& sums = {}) const {
    constexpr int kBatch = 50;
    constexpr unsigned kSecondsForABatch = 100;
    int noticed = 0;
    for (int first = 0; first < count; first += kBatch) {
      const int status = status_of_child([&] {
        ::alarm(kSecondsForABatch);
        int noticed_here = 0;
        for (int i = first; i < std::min(count, first + kBatch); ++i) {
          current_file = i;
          noticed_here += is_noticed(make(i), sums.value_or(good_sums_)) ? 1 : 0;
        }
        ::_exit(noticed_here);
      });
      const bool all_tried = WIFEXITED(status) && WEXITSTATUS(status) <= kBatch;
      EXPECT_TRUE(all_tried) << "wait status " << status << " with one of the files from " << first;
      noticed += all_tried ? WEXITSTATUS(status) : 0;
    }
    return noticed;
  }

  std::string path_, good_, good_sums_;
};

TEST_F(Damage, TheUndamagedFileIsRight) {
  EXPECT_EQ(count_noticed(2, [&](int) { return good_; }), 0);
}

TEST_F(Damage, AFileThatIsCutAnywhereIsNoticed) {
  std::vector<std::size_t> sizes{
      0, 1, 15, 16, 100, 151, 152, kPageSize - 1, kPageSize, kPageSize + 1, kPageSize + 151};
  for (std::size_t size = 2 * kPageSize; size < good_.size(); size += kPageSize) {
    sizes.insert(sizes.end(), {size - 1, size, size + 1, size + kPageSize / 2});
  }
  sizes.push_back(good_.size() - 1);
  const int count = static_cast<int>(sizes.size());
  EXPECT_EQ(count_noticed(count, [&](int i) { return good_.substr(0, sizes[static_cast<std::size_t>(i)]); }),
            count);
}

TEST_F(Damage, AFileCutUnderAnOpenStoreIsNoticed) {
  for (const std::size_t size : {good_.size() - 1, 3 * kPageSize, std::size_t{0}}) {
    write_file(path_, good_);
    Store store = open();
    ASSERT_EQ(::truncate(path_.c_str(), static_cast<off_t>(size)), 0);
    EXPECT_EQ(error_of([&] { store.read([](const Transaction&) {}); }), ErrorCode::kStoreDamaged);
  }
}

TEST_F(Damage, ItIsPutAsideWithASentenceAndTheNextStoreIsFresh) {
  write_file(path_, good_.substr(0, good_.size() / 2));
  std::string message;
  EXPECT_EQ(error_of([&] { (void)open(); }, &message), ErrorCode::kStoreDamaged);
  EXPECT_THAT(message, HasSubstr(path_ + ".damaged-"));
  EXPECT_THAT(message, HasSubstr("running containers keep working"));
  EXPECT_THAT(message, HasSubstr("netctl gc"));
  EXPECT_THAT(directory_.files(), Contains(HasSubstr(".mdb.damaged-")));
  open().read([](const Transaction& transaction) { EXPECT_TRUE(transaction.list_attachments().empty()); });
  store_.read([](const Transaction& transaction) { EXPECT_TRUE(transaction.list_attachments().empty()); });
}

TEST_F(Damage, ZeroedPagesAreNoticedOrUnused) {
  const int pages = static_cast<int>(good_.size() / kPageSize);
  const int noticed = count_noticed(pages, [&](int page) {
    return std::string(good_).replace(static_cast<std::size_t>(page) * kPageSize, kPageSize, kPageSize, '\0');
  });
  EXPECT_GT(noticed, pages / 2);
}

TEST_F(Damage, PagesInEachOthersPlacesAreNoticedOrUnused) {
  const int pages = static_cast<int>(good_.size() / kPageSize);
  const int noticed = count_noticed(pages - 3, [&](int i) {
    const std::size_t page = (static_cast<std::size_t>(i) + 2) * kPageSize;
    return std::string(good_).replace(page, kPageSize, good_, page + kPageSize, kPageSize);
  });
  EXPECT_GT(noticed, pages / 2);
}

TEST_F(Damage, ChecksumsThatAreLostAreMadeAgainFromASoundFile) {
  for (const std::string& left_over : {std::string(), std::string("not checksums"), std::string(5000, 'x')}) {
    EXPECT_EQ(count_noticed(
                  1, [&](int) { return good_; }, left_over),
              0);
  }
}

TEST_F(Damage, WithoutChecksumsTheWholeFileIsExamined) {
  std::vector<std::string> files;
  const std::string in_a_record = "02:00:00:00:00:01";
  for (std::size_t at = good_.find(in_a_record); at != std::string::npos;
       at = good_.find(in_a_record, at + 1)) {
    files.push_back(good_);
    files.back()[at] = '9';
  }
  const int count = static_cast<int>(files.size());
  const int noticed = count_noticed(
      count, [&](int i) { return files[static_cast<std::size_t>(i)]; }, "");
  EXPECT_GE(noticed, kContainers / 2);  // the others are in pages that are free
}

TEST_F(Damage, AWrongChecksumIsDamageOrOfNoConsequence) {
  for (std::size_t at = 0; at < good_sums_.size(); at += sizeof(std::uint64_t)) {
    std::string wrong = good_sums_;
    wrong[at] = static_cast<char>(wrong[at] ^ 1);
    count_noticed(
        1, [&](int) { return good_; }, wrong);
  }
}

/// One bit, one byte, or a run of bytes somewhere in the file.
std::string mutate(std::string bytes, std::mt19937& random) {
  const std::size_t at = random() % bytes.size();
  switch (random() % 4) {
    case 0:
      bytes[at] = static_cast<char>(random());
      break;
    case 1:
      for (std::size_t i = at; i < std::min(bytes.size(), at + 1 + random() % 64); ++i) bytes[i] = '\0';
      break;
    default:
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << (random() % 8)));
  }
  return bytes;
}

/// Two thousand files, in eight parts; with sanitizers, which take many times as long, four hundred.
constexpr int kParts = 8;
#ifdef NETCTL_SANITIZED
constexpr int kFiles = 50;
#else
constexpr int kFiles = 250;
#endif
class MutatedFiles : public Damage, public ::testing::WithParamInterface<int> {};

TEST_P(MutatedFiles, AreRightOrNoticed) {
  const int noticed = count_noticed(kFiles, [&](int i) {
    // Every file can be made again from its number.
    std::mt19937 random(static_cast<std::uint32_t>(GetParam() * kFiles + i));
    if (i % 2 == 0) return mutate(good_, random);
    // Half of them in the places that LMDB lives by: headers of pages and their tables of contents.
    constexpr std::size_t kTop = 200;
    const std::size_t page = random() % (good_.size() / kPageSize) * kPageSize;
    return std::string(good_).replace(page, kTop, mutate(good_.substr(page, kTop), random));
  });
  EXPECT_GT(noticed, kFiles / 4);
}

INSTANTIATE_TEST_SUITE_P(Damage, MutatedFiles, ::testing::Range(0, kParts));

}  // namespace
}  // namespace netctl::ipam::testing
