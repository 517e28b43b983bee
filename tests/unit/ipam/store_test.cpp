#include <fcntl.h>
#include <sys/stat.h>

#include <fstream>

#include "ipam/keys_internal.hpp"
#include "tests/unit/ipam/support.hpp"

namespace netctl::ipam::testing {
namespace {

using std::chrono::milliseconds;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

class StoreFiles : public StoreTest {
 protected:
  [[nodiscard]] ErrorCode open_error(std::string* message = nullptr) const {
    return error_of([&] { (void)open(); }, message);
  }
};

mode_t mode_of(const std::string& path) {
  struct stat status {};
  EXPECT_EQ(::lstat(path.c_str(), &status), 0);
  return status.st_mode & 07777;
}

TEST_F(StoreFiles, RemembersAcrossOpenings) {
  store_.write([](Transaction& transaction) {
    transaction.put_attachment(full_attachment("a"));
    transaction.put_network(full_network());
  });
  open().read([](const Transaction& transaction) {
    EXPECT_EQ(transaction.find_attachment(container("a")), full_attachment("a"));
    EXPECT_EQ(transaction.find_attachment(container("b")), std::nullopt);
    EXPECT_EQ(transaction.find_network("net"), full_network());
    EXPECT_THAT(transaction.list_networks(), ElementsAre(full_network()));
  });
}

TEST_F(StoreFiles, ListsByNetwork) {
  AttachmentRecord elsewhere = full_attachment("c");
  elsewhere.key.network = "other";
  store_.write([&](Transaction& transaction) {
    for (const char* id : {"a", "b"}) transaction.put_attachment(full_attachment(id));
    transaction.put_attachment(elsewhere);
    EXPECT_EQ(transaction.list_attachments().size(), 3U);
    EXPECT_THAT(transaction.list_attachments("net"),
                UnorderedElementsAre(full_attachment("a"), full_attachment("b")));
    EXPECT_TRUE(transaction.has_attachments("other"));
    transaction.erase_attachment(elsewhere.key);
    transaction.erase_attachment(elsewhere.key);
    EXPECT_FALSE(transaction.has_attachments("other"));
    transaction.put_network(full_network());
    transaction.erase_network("net");
    EXPECT_THAT(transaction.list_networks(), IsEmpty());
  });
}

TEST_F(StoreFiles, NamesOfAnyLengthAreKeys) {
  AttachmentRecord record = full_attachment(std::string(4096, 'x'));
  store_.write([&](Transaction& transaction) { transaction.put_attachment(record); });
  store_.read(
      [&](const Transaction& transaction) { EXPECT_EQ(transaction.find_attachment(record.key), record); });
}

TEST_F(StoreFiles, AFailedBodyChangesNothing) {
  EXPECT_EQ(error_of([&] {
              store_.write([](Transaction& transaction) {
                transaction.put_attachment(full_attachment("a"));
                throw Error(ErrorCode::kPortTaken, "taken");
              });
            }),
            ErrorCode::kPortTaken);
  store_.write([](Transaction& transaction) { EXPECT_FALSE(transaction.find_attachment(container("a"))); });
}

TEST_F(StoreFiles, AReadingTransactionDoesNotWrite) {
  store_.read([](const Transaction& transaction) {
    auto& writer = const_cast<Transaction&>(transaction);
    EXPECT_EQ(error_of([&] { writer.put("k", "v"); }), ErrorCode::kInternal);
    EXPECT_EQ(error_of([&] { writer.erase("k"); }), ErrorCode::kInternal);
  });
}

TEST_F(StoreFiles, ScansInOrderFromWhereItIsTold) {
  store_.write([](Transaction& transaction) {
    for (const char* key : {"xa", "xb", "xc", "y"}) transaction.put(key, std::string(key) + "!");
    std::vector<std::string> seen;
    const auto note = [&](const std::string& key, const std::string& value) {
      EXPECT_EQ(value, key + "!");
      seen.push_back(key);
      return key != "xb";
    };
    transaction.scan("x", "x", note);
    EXPECT_THAT(seen, ElementsAre("xa", "xb"));
    seen.clear();
    transaction.scan("x", "xbb", note);
    EXPECT_THAT(seen, ElementsAre("xc"));
  });
}

TEST_F(StoreFiles, ArePrivate) {
  EXPECT_EQ(mode_of(directory_.state()), 0700U);
  EXPECT_EQ(mode_of(store_.path()), 0600U);
  EXPECT_EQ(mode_of(store_.path() + ".lock"), 0600U);
}

TEST_F(StoreFiles, DescriptorsDoNotLeakIntoChildren) {
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    const std::string target = std::filesystem::read_symlink(entry.path(), gone);
    if (target.find(directory_.state()) == std::string::npos) continue;
    EXPECT_NE(::fcntl(std::stoi(entry.path().filename()), F_GETFD) & FD_CLOEXEC, 0) << target;
  }
}

TEST_F(StoreFiles, UnsafeDirectoriesAreRefused) {
  const auto refusal = [&] {
    std::string message;
    EXPECT_EQ(open_error(&message), ErrorCode::kIo);
    return message;
  };
  for (const mode_t mode : {0770U, 0702U, 0777U | S_ISVTX}) {
    ASSERT_EQ(::chmod(directory_.state().c_str(), mode), 0);
    EXPECT_THAT(refusal(), HasSubstr("writable for others"));
  }
  ASSERT_EQ(::chmod(directory_.state().c_str(), 0755), 0);
  EXPECT_NO_THROW((void)open());
  ASSERT_EQ(::rename(directory_.state().c_str(), (directory_.state() + "2").c_str()), 0);
  ASSERT_EQ(::symlink((directory_.state() + "2").c_str(), directory_.state().c_str()), 0);
  EXPECT_THAT(refusal(), HasSubstr("link"));
  ASSERT_EQ(::unlink(directory_.state().c_str()), 0);
  if (::geteuid() == 0) {
    ASSERT_EQ(::mkdir(directory_.state().c_str(), 0700), 0);
    ASSERT_EQ(::chown(directory_.state().c_str(), 4711, 4711), 0);
    EXPECT_THAT(refusal(), HasSubstr("another user"));
  }
}

TEST_F(StoreFiles, ALinkInPlaceOfTheFileIsRefused) {
  const std::string path = store_.path();
  ASSERT_EQ(::rename(path.c_str(), (path + ".moved").c_str()), 0);
  ASSERT_EQ(::symlink((path + ".moved").c_str(), path.c_str()), 0);
  EXPECT_EQ(open_error(), ErrorCode::kIo);
}

TEST_F(StoreFiles, MissingParentsAreMade) {
  const std::string deep = directory_.state() + "/a/b";
  EXPECT_NO_THROW((void)Store::open_live(deep, kCookie, kBoot));
  EXPECT_EQ(mode_of(deep), 0700U);
}

TEST_F(StoreFiles, ReadersMakeNothing) {
  const std::string elsewhere = directory_.state() + "/none";
  EXPECT_FALSE(Store::open_live_if_present(elsewhere, kCookie, kBoot));
  EXPECT_FALSE(Store::open_durable_if_present(elsewhere));
  EXPECT_FALSE(std::filesystem::exists(elsewhere));
  const std::size_t files = directory_.files().size();
  EXPECT_FALSE(Store::open_durable_if_present(directory_.state()));
  EXPECT_FALSE(Store::open_live_if_present(directory_.state(), kCookie + 1, kBoot));
  EXPECT_EQ(directory_.files().size(), files);
  EXPECT_TRUE(Store::open_live_if_present(directory_.state(), kCookie, kBoot));
}

TEST_F(StoreFiles, StoresOfOtherBootsGoAndThoseOfThisBootStay) {
  (void)Store::open_durable(directory_.state());
  (void)Store::open_live(directory_.state(), kCookie + 1, kBoot);
  EXPECT_THAT(directory_.files(), Contains(HasSubstr(kBoot)).Times(6));
  const std::string next_boot = "99999999-2222-3333-4444-555555555555";
  const Store after_reboot = Store::open_live(directory_.state(), kCookie, next_boot);
  EXPECT_THAT(directory_.files(), Not(Contains(HasSubstr(kBoot))));
  EXPECT_THAT(directory_.files(), Contains("durable.mdb"));
  EXPECT_EQ(directory_.files().size(), 6U);
  EXPECT_EQ(Store::current_boot_id().size(), next_boot.size());
}

TEST_F(StoreFiles, AStoreRemovedUnderAnOpenOneIsMadeAgain) {
  store_.write([](Transaction& transaction) { transaction.put_attachment(full_attachment("a")); });
  ASSERT_EQ(::unlink(store_.path().c_str()), 0);
  store_.write([](Transaction& transaction) {
    EXPECT_FALSE(transaction.find_attachment(container("a")));
    transaction.put_attachment(full_attachment("b"));
  });
  open().read(
      [](const Transaction& transaction) { EXPECT_TRUE(transaction.find_attachment(container("b"))); });
}

TEST_F(StoreFiles, ANewerSchemaIsRefusedAndLeftAlone) {
  store_.write([](Transaction& transaction) {
    transaction.put(schema_key(), ByteWriter().number(std::uint32_t{2}).take());
  });
  std::string message;
  EXPECT_EQ(open_error(&message), ErrorCode::kIo);
  EXPECT_THAT(message, HasSubstr("newer netctl"));
  EXPECT_TRUE(std::filesystem::exists(store_.path()));
}

TEST_F(StoreFiles, LocksEndInTryAgainLater) {
  Store other = open();
  other.set_patience(milliseconds(30));
  const AttachmentKey key = container("a");
  const auto taken = [](const auto& action) { EXPECT_EQ(error_of(action), ErrorCode::kTryAgainLater); };
  {
    const HeldLock attachment = store_.lock_attachment(key);
    taken([&] { (void)other.lock_attachment(key); });
    EXPECT_FALSE(other.try_lock_attachment(key));
    EXPECT_TRUE(other.try_lock_attachment(container("b")));
    EXPECT_TRUE(other.try_lock_attachment(container("a", "eth1")));
    const HeldLock network = store_.lock_network("net", LockMode::kShared);
    EXPECT_TRUE(other.try_lock_network("net", LockMode::kShared));
    taken([&] { (void)other.lock_network("net", LockMode::kExclusive); });
    const HeldLock table = store_.lock_table(LockMode::kExclusive);
    taken([&] { (void)other.lock_table(LockMode::kShared); });
    EXPECT_NO_THROW(other.write([](Transaction&) {}));
  }
  EXPECT_TRUE(other.try_lock_attachment(key));
  EXPECT_TRUE(other.try_lock_network("net", LockMode::kExclusive));
  store_.write([&](Transaction&) {
    taken([&] { other.write([](Transaction&) {}); });
    taken([&] { other.read([](const Transaction&) {}); });
  });
  store_.read([&](const Transaction&) { EXPECT_NO_THROW(other.read([](const Transaction&) {})); });
}

TEST_F(StoreFiles, DamageFoundInOneStoreLeavesTheOtherInPlace) {
  Store durable = Store::open_durable(directory_.state());
  EXPECT_EQ(error_of([&] {
              store_.write([&](Transaction&) {
                durable.write([](Transaction& transaction) {
                  const std::string subnet = hashed_key(kSubnetPrefix, "net");
                  transaction.put(subnet, "x");
                  (void)find_chosen_subnets(transaction, "net");
                });
              });
            }),
            ErrorCode::kStoreDamaged);
  EXPECT_TRUE(std::filesystem::exists(store_.path()));
  EXPECT_FALSE(std::filesystem::exists(durable.path()));
  EXPECT_THAT(directory_.files(), Contains(HasSubstr("durable.mdb.damaged-")));
}

}  // namespace
}  // namespace netctl::ipam::testing
