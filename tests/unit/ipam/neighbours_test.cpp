#include "ipam/neighbours.hpp"

#include <map>

#include "tests/unit/ipam/support.hpp"

namespace netctl::ipam {
namespace {

AttachmentRecord record(const std::string& network, const std::string& id) {
  AttachmentRecord made;
  made.key = {network, id, "eth0"};
  return made;
}

class NeighboursTest : public ::testing::Test {
 protected:
  void SetUp() override {
    store_.write([](Transaction& transaction) {
      for (int i = 0; i < kCount; ++i) transaction.put_attachment(record("blue", "c" + std::to_string(i)));
      transaction.put_attachment(record("red", "c0"));
    });
  }
  std::vector<AttachmentRecord> next(const AttachmentKey& key, std::size_t count) {
    std::vector<AttachmentRecord> records;
    store_.read([&](const Transaction& transaction) { records = next_attachments(transaction, key, count); });
    return records;
  }

  static constexpr int kCount = 50;

 private:
  testing::TemporaryDirectory directory_;
  Store store_ = Store::open_live(directory_.state(), testing::kCookie, testing::kBoot);
};

TEST_F(NeighboursTest, EveryoneIsTheNextOfSomebody) {
  std::map<std::string, int> seen;
  for (int i = 0; i < kCount; ++i) {
    const std::string id = "c" + std::to_string(i);
    const auto found = next({"blue", id, "eth0"}, 1);
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found.front().key.network, "blue");
    EXPECT_NE(found.front().key.container_id, id);
    ++seen[found.front().key.container_id];
  }
  EXPECT_EQ(seen.size(), static_cast<std::size_t>(kCount));  // round the circle, each once
}

TEST_F(NeighboursTest, AreNeverMoreThanThereAre) {
  EXPECT_EQ(next({"blue", "c7", "eth0"}, 1000).size(), static_cast<std::size_t>(kCount - 1));
  EXPECT_EQ(next({"red", "c0", "eth0"}, 2).size(), 0U);
  EXPECT_EQ(next({"red", "new", "eth0"}, 2).size(), 1U);
  EXPECT_EQ(next({"nobody", "c0", "eth0"}, 2).size(), 0U);
}

}  // namespace
}  // namespace netctl::ipam
