// Records as the first release wrote them. A later version has to read them and to go on from there; the file is never
// regenerated, only joined by one for the next schema.

#include <fstream>

#include "ipam/codec.hpp"
#include "ipam/keys_internal.hpp"
#include "tests/unit/ipam/support.hpp"

namespace netctl::ipam::testing {
namespace {

std::string from_hex(const std::string& digits) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

/// Lines of "store key value", both in hex, the value with its version and checksum.
void load_golden(const std::string& wanted, Store& into) {
  std::ifstream file(std::string(GOLDEN_FOLDER) + "/schema-1.records");
  std::string store, key, value;
  int records = 0;
  while (file >> store >> key >> value) {
    if (store != wanted) continue;
    const std::string key_bytes = from_hex(key);
    into.write(
        [&](Transaction& transaction) { transaction.put(key_bytes, unseal(key_bytes, from_hex(value))); });
    ++records;
  }
  ASSERT_GT(records, 0);
}

TEST(Golden, LiveRecordsOfTheFirstReleaseAreUnderstood) {
  const TemporaryDirectory directory;
  Store store = Store::open_live(directory.state(), kCookie, kBoot);
  load_golden("live", store);
  store = Store::open_live(directory.state(), kCookie, kBoot);
  AttachmentRecord expected = full_attachment("golden");
  expected.extra = {{"ofAnotherVersion", {1, "two"}}};
  const PoolConfig pool = pool_of({{range("10.1.0.0/16")}, {range("fd00::/64")}});
  store.write([&](Transaction& transaction) {
    EXPECT_EQ(transaction.find_attachment(container("golden")), expected);
    EXPECT_EQ(transaction.list_attachments("net").size(), 1U);
    EXPECT_EQ(transaction.find_network("net"), full_network());
    EXPECT_EQ(find_holder(transaction, pool.id, ip("10.1.0.2")), container("golden"));
    EXPECT_EQ(find_holder(transaction, pool.id, ip("fd00::2")), container("golden"));
    EXPECT_EQ(leased_count(transaction, pool.id), 2U);
    EXPECT_EQ(find_port_owner(transaction, expected.ports[0]), container("golden"));
    EXPECT_EQ(find_port_owner(transaction, expected.ports[1]), container("golden"));

    AllocationRequest request;
    request.owner = container("golden");
    EXPECT_EQ(error_of([&] { (void)allocate(transaction, pool, request, {}); }), ErrorCode::kAlreadyAttached);
    request.owner = container("new");
    const std::vector<LeaseRecord> leases = allocate(transaction, pool, request, {});
    EXPECT_EQ(leases[0].address, prefix("10.1.0.4/16")) << "10.1.0.3 was released a moment ago";
    EXPECT_EQ(leases[1].address, prefix("fd00::4/64"));
  });
}

TEST(Golden, DurableRecordsOfTheFirstReleaseAreUnderstood) {
  const TemporaryDirectory directory;
  Store store = Store::open_durable(directory.state());
  load_golden("durable", store);
  store.read([](const Transaction& durable) {
    const ReservationRecord web{"net", "web", {ip("10.1.0.9"), ip("fd00::9")}};
    EXPECT_THAT(list_reservations(durable, "net"), ::testing::ElementsAre(web));
    EXPECT_THAT(find_chosen_subnets(durable, "net"),
                ::testing::ElementsAre(prefix("172.17.0.0/16"), prefix("fd00::/64")));
  });
}

}  // namespace
}  // namespace netctl::ipam::testing
