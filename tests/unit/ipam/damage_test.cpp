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
constexpr int kDamaged = 3;  // what a child says with its exit status

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
    if (claim_port(transaction, record.ports.front(), record.key)) throw Error(ErrorCode::kPortTaken, "taken");
    transaction.put_attachment(record);
  }

  static void detach(Transaction& transaction, int number) {
    const AttachmentRecord record = transaction.find_attachment(container(std::to_string(number))).value();
    release(transaction, record.leases, record.key, 0);
    release_port(transaction, record.ports.front(), record.key);
    transaction.erase_attachment(record.key);
  }

  /// Leaves with 1 when the store says something wrong.
  static void require(bool right, const char* what) {
    if (right) return;
    std::fprintf(stderr, "wrong data: %s\n", what);
    ::_exit(1);
  }

  static void require_right(const Transaction& transaction) {
    std::size_t expected = 0;
    for (int i = 0; i < kContainers; ++i) {
      const std::optional<AttachmentRecord> record = transaction.find_attachment(container(std::to_string(i)));
      require(record.has_value() == (i % 3 != 0), "an attachment is lost, or one is back");
      if (!record) continue;
      ++expected;
      require(record->host_mac == "02:00:00:00:00:01", "an attachment changed");
      require(find_holder(transaction, pool().id, record->leases.front().address.address) == record->key, "a lease");
      require(find_port_owner(transaction, record->ports.front()) == record->key, "a claim is lost");
    }
    require(transaction.list_attachments().size() == expected, "the list of attachments");
    require(list_leases(transaction, pool().id).size() == expected, "the list of leases");
  }

  /// Reads everything, changes much, and puts it back.
  void exercise() const {
    Store store = open();
    store.read(&require_right);
    for (int i = 1; i < kContainers; i += 3) {
      store.write([&](Transaction& transaction) { detach(transaction, i); });
    }
    for (int i = 1; i < kContainers; i += 3) {
      store.write([&](Transaction& transaction) { attach(transaction, i); });
    }
    store.read(&require_right);
  }

  /// 0: everything was right; kDamaged: it was noticed. Everything else fails the test.
  int try_file(const std::string& bytes) const {
    write_file(path_, bytes);
    const int status = status_of_child([&] {
      constexpr unsigned kSeconds = 30;
      ::alarm(kSeconds);
      try {
        exercise();
      } catch (const Error& error) {
        if (error.code() == ErrorCode::kStoreDamaged) ::_exit(kDamaged);
        throw;
      }
    });
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + status;
  }

  std::string path_;
  std::string good_;
};

TEST_F(Damage, TheUndamagedFileIsRight) { EXPECT_EQ(try_file(good_), 0); }

TEST_F(Damage, AFileThatIsCutAnywhereIsNoticed) {
  std::vector<std::size_t> sizes{0, 1, 15, 16, 100, 151, 152, kPageSize - 1, kPageSize, kPageSize + 1, kPageSize + 151};
  for (std::size_t size = 2 * kPageSize; size < good_.size(); size += kPageSize) {
    sizes.insert(sizes.end(), {size - 1, size, size + 1, size + kPageSize / 2});
  }
  sizes.push_back(good_.size() - 1);
  for (const std::size_t size : sizes) {
    EXPECT_EQ(try_file(good_.substr(0, size)), kDamaged) << "cut to " << size << " of " << good_.size();
  }
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
  for (std::size_t page = 0; page < good_.size(); page += kPageSize) {
    std::string bytes = good_;
    bytes.replace(page, kPageSize, kPageSize, '\0');
    EXPECT_THAT(try_file(bytes), ::testing::AnyOf(0, kDamaged)) << "page " << page / kPageSize;
  }
}

TEST_F(Damage, PagesInEachOthersPlacesAreNoticedOrUnused) {
  for (std::size_t page = 2 * kPageSize; page + kPageSize < good_.size(); page += kPageSize) {
    std::string bytes = good_;
    bytes.replace(page, kPageSize, good_, page + kPageSize, kPageSize);
    EXPECT_THAT(try_file(bytes), ::testing::AnyOf(0, kDamaged)) << "page " << page / kPageSize;
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

TEST_F(Damage, TwoThousandMutatedFiles) {
  constexpr int kFiles = 2000;
  std::mt19937 random(1);
  int noticed = 0;
  for (int i = 0; i < kFiles && !HasFailure(); ++i) {
    std::string bytes = good_;
    // Half of them in the places that LMDB lives by: headers of pages and their tables of contents.
    if (i % 2 == 0) {
      const std::size_t page = random() % (bytes.size() / kPageSize) * kPageSize;
      bytes.replace(page, 200, mutate(bytes.substr(page, 200), random));
    } else {
      bytes = mutate(std::move(bytes), random);
    }
    const int outcome = try_file(bytes);
    EXPECT_THAT(outcome, ::testing::AnyOf(0, kDamaged)) << "file " << i;
    noticed += outcome == kDamaged ? 1 : 0;
  }
  EXPECT_GT(noticed, kFiles / 10);
}

}  // namespace
}  // namespace netctl::ipam::testing
