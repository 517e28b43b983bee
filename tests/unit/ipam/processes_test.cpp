// Many processes on one store: nothing is given twice, nothing is lost, and a killed one leaves whole transactions only.

#include <fcntl.h>
#include <sys/mman.h>

#include <csignal>
#include <random>
#include <set>
#include <thread>

#include "tests/unit/ipam/support.hpp"

namespace netctl::ipam::testing {
namespace {

PoolConfig shared_pool() { return pool_of({{range("10.1.0.0/22")}, {range("fd00::/64")}}); }

/// What an ADD records, in one transaction.
void attach(Transaction& transaction, const AttachmentKey& key, std::uint16_t host_port) {
  AttachmentRecord record = full_attachment(key.container_id);
  record.ports.resize(1);
  record.ports.front().host_port = host_port;
  AllocationRequest request;
  request.owner = key;
  record.leases = allocate(transaction, shared_pool(), request, {});
  if (claim_port(transaction, record.ports.front(), key)) throw Error(ErrorCode::kPortTaken, "taken");
  transaction.put_attachment(record);
}

void detach(Transaction& transaction, const AttachmentKey& key) {
  const std::optional<AttachmentRecord> record = transaction.find_attachment(key);
  if (!record) return;
  release(transaction, record->leases, key, 0);
  for (const PortRecord& port : record->ports) release_port(transaction, port, key);
  transaction.erase_attachment(key);
}

/// Attachments, leases and claims say the same.
void expect_consistent(Store store) {
  store.read([](const Transaction& transaction) {
    std::set<IpAddress> recorded;
    for (const AttachmentRecord& record : transaction.list_attachments()) {
      for (const LeaseRecord& lease : record.leases) {
        EXPECT_EQ(find_holder(transaction, lease.pool, lease.address.address), record.key);
        EXPECT_TRUE(recorded.insert(lease.address.address).second);
      }
      EXPECT_EQ(find_port_owner(transaction, record.ports.front()), record.key);
    }
    const std::vector<HeldLease> leases = list_leases(transaction, shared_pool().id);
    EXPECT_EQ(leases.size(), recorded.size());
    EXPECT_EQ(leased_count(transaction, shared_pool().id), recorded.size());
  });
}

class Processes : public ::testing::Test {
 protected:
  [[nodiscard]] Store open() const { return Store::open_live(directory_.state(), kCookie, kBoot); }
  TemporaryDirectory directory_;
};

TEST_F(Processes, SixteenCreateAndAllocateAtOnce) {
  constexpr int kProcesses = 16;
  constexpr int kEach = 25;
  std::vector<pid_t> children;
  for (int process = 0; process < kProcesses; ++process) {
    children.push_back(start([&] {
      for (int i = 0; i < kEach; ++i) {
        const int number = process * kEach + i;
        open().write([&](Transaction& transaction) {
          attach(transaction, container(std::to_string(number)), static_cast<std::uint16_t>(1000 + number));
        });
      }
    }));
  }
  for (const pid_t child : children) EXPECT_EQ(wait_for(child), 0);
  open().read([&](const Transaction& transaction) {
    EXPECT_EQ(transaction.list_attachments().size(), static_cast<std::size_t>(kProcesses * kEach));
  });
  expect_consistent(open());
}

TEST_F(Processes, OneOfManyClaimsGetsThePort) {
  constexpr int kProcesses = 8;
  std::vector<pid_t> children;
  for (int process = 0; process < kProcesses; ++process) {
    children.push_back(start([&] {
      PortRecord wanted;
      wanted.protocol = 6;
      wanted.host_port = 80;
      open().write([&](Transaction& transaction) {
        if (claim_port(transaction, wanted, container(std::to_string(process)))) ::_exit(2);
      });
    }));
  }
  int winners = 0;
  for (const pid_t child : children) winners += wait_for(child) == 0 ? 1 : 0;
  EXPECT_EQ(winners, 1);
}

TEST_F(Processes, KilledWritersLeaveWholeTransactions) {
  constexpr int kWriters = 4;
  constexpr int kRounds = 60;
  std::mt19937 random(7);
  int transactions_seen = 0;
  for (int round = 0; round < kRounds; ++round) {
    std::vector<pid_t> children;
    for (int writer = 0; writer < kWriters; ++writer) {
      children.push_back(start([&] {
        for (int i = 0;; ++i) {
          const int number = writer * 20 + i % 20;
          Store store = open();
          store.write([&](Transaction& transaction) {
            const AttachmentKey key = container(std::to_string(number));
            detach(transaction, key);
            if (i % 3 != 0) attach(transaction, key, static_cast<std::uint16_t>(1000 + number));
          });
        }
      }));
    }
    std::this_thread::sleep_for(std::chrono::microseconds(2000 + random() % 8000));
    for (const pid_t child : children) ::kill(child, SIGKILL);
    for (const pid_t child : children)
      EXPECT_TRUE(WIFSIGNALED(wait_for(child))) << "a writer failed by itself";
    expect_consistent(open());
    open().read([&](const Transaction& transaction) {
      transactions_seen += static_cast<int>(transaction.list_attachments().size());
    });
  }
  EXPECT_GT(transactions_seen, kRounds) << "the writers did not get to write";
}

}  // namespace
}  // namespace netctl::ipam::testing
