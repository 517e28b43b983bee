// Socket::exchange() with nf_tables batches. Their messages are made here by hand: libnftnl belongs to a higher layer.

#include <sys/socket.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <cstring>

#include <gmock/gmock.h>

#include "netlink/socket.hpp"
#include "tests/support/netns_test.hpp"

namespace netctl::netlink {
namespace {

constexpr Attr<NFTA_TABLE_NAME, std::string_view> kTableName{};
constexpr Attr<NFNL_BATCH_GENID, BigEndian<std::uint32_t>> kGeneration{};

class ExchangeTest : public testing::NetnsTest {
 protected:
  void SetUp() override {
    NetnsTest::SetUp();
    if (!HasFatalFailure()) netfilter_.emplace(Socket::open(Bus::kNetfilter));
  }
  Socket& netfilter() { return *netfilter_; }

 private:
  std::optional<Socket> netfilter_;
};

struct Batch {
  std::vector<std::uint8_t> bytes;

  void append(const Request& request, std::uint32_t sequence, std::uint16_t clear_flags) {
    const std::size_t start = bytes.size();
    bytes.insert(bytes.end(), request.bytes().begin(), request.bytes().end());
    nlmsghdr header{};
    std::memcpy(&header, bytes.data() + start, sizeof header);
    header.nlmsg_flags = static_cast<std::uint16_t>(header.nlmsg_flags & ~clear_flags);
    header.nlmsg_seq = sequence;
    std::memcpy(bytes.data() + start, &header, sizeof header);
  }
};

Request edge(std::uint16_t type) {
  Request request(type, 0, "frame a batch");
  request.header<nfgenmsg>().res_id = __builtin_bswap16(NFNL_SUBSYS_NFTABLES);
  return request;
}

Request table(std::uint8_t message, std::uint16_t flags, const std::string& name) {
  Request request(static_cast<std::uint16_t>((NFNL_SUBSYS_NFTABLES << 8) | message), flags,
                  "change table " + name);
  request.header<nfgenmsg>().nfgen_family = AF_INET;
  request.put(kTableName, name);
  return request;
}

Request add_table(const std::string& name) { return table(NFT_MSG_NEWTABLE, NLM_F_CREATE, name); }
Request delete_table(const std::string& name) { return table(NFT_MSG_DELTABLE, 0, name); }

std::vector<Ack> send(Socket& socket, const std::vector<Request>& requests,
                      const Request& begin = edge(NFNL_MSG_BATCH_BEGIN)) {
  const auto count = static_cast<std::uint32_t>(requests.size());
  const std::uint32_t before = socket.reserve_sequences(count + 2);
  const std::uint32_t first = before + 1;
  Batch batch;
  batch.append(begin, before, NLM_F_ACK);
  for (std::uint32_t i = 0; i < count; ++i) batch.append(requests[i], first + i, 0);
  batch.append(edge(NFNL_MSG_BATCH_END), first + count, NLM_F_ACK);
  return socket.exchange(batch.bytes, first, count);
}

std::vector<int> errnos_of(const std::vector<Ack>& acks) {
  std::vector<int> errnos;
  for (const Ack& ack : acks) errnos.push_back(ack.sys_errno);
  return errnos;
}

std::vector<std::string> table_names() {
  std::vector<std::string> names;
  const auto listed = testing::nft_json({"list", "tables"});
  for (const auto& entry : listed.at("nftables")) {
    if (entry.contains("table")) names.push_back(entry.at("table").at("name"));
  }
  return names;
}

TEST_F(ExchangeTest, AcknowledgesEveryMessage) {
  EXPECT_THAT(errnos_of(send(netfilter(), {add_table("a"), add_table("b")})), ::testing::ElementsAre(0, 0));
  EXPECT_THAT(table_names(), ::testing::UnorderedElementsAre("a", "b"));
}

TEST_F(ExchangeTest, TellsWhichMessagesFailed) {
  const auto acks =
      send(netfilter(), {add_table("a"), delete_table("nosuch"), add_table("b"), delete_table("neither")});
  EXPECT_THAT(errnos_of(acks), ::testing::ElementsAre(0, ENOENT, 0, ENOENT));
  EXPECT_THAT(table_names(), ::testing::IsEmpty()) << "a batch is done as a whole or not at all";
}

TEST_F(ExchangeTest, IsUsableAfterAFailure) {
  (void)send(netfilter(), {delete_table("nosuch")});
  EXPECT_THAT(errnos_of(send(netfilter(), {add_table("a")})), ::testing::ElementsAre(0));
  EXPECT_THAT(errnos_of(send(netfilter(), {delete_table("a")})), ::testing::ElementsAre(0));
  EXPECT_THAT(table_names(), ::testing::IsEmpty());
}

TEST_F(ExchangeTest, BlamesEveryMessageWhenTheBatchIsRefusedAsAWhole) {
  Request stale = edge(NFNL_MSG_BATCH_BEGIN);
  stale.put(kGeneration, {0xfffffff0});  // a generation of the ruleset that never was
  EXPECT_THAT(errnos_of(send(netfilter(), {add_table("a"), add_table("b")}, stale)),
              ::testing::ElementsAre(ERESTART, ERESTART));
  EXPECT_THAT(table_names(), ::testing::IsEmpty());
}

TEST_F(ExchangeTest, TakesABatchLargerThanTheDefaultBuffers) {
  std::vector<Request> requests;
  // The first hundred make the tables, the others find them made.
  for (int i = 0; i < 3000; ++i)
    requests.push_back(add_table("table-" + std::to_string(i % 100) + std::string(40, 'x')));
  const auto acks = send(netfilter(), requests);
  ASSERT_EQ(acks.size(), requests.size());
  EXPECT_THAT(errnos_of(acks), ::testing::Each(0));
  EXPECT_EQ(table_names().size(), 100U);
}

TEST_F(ExchangeTest, ReadsTheErrorsOfALargeBatch) {
  std::vector<Request> requests(1000, delete_table("nosuch"));
  EXPECT_THAT(errnos_of(send(netfilter(), requests)), ::testing::Each(ENOENT));
}

}  // namespace
}  // namespace netctl::netlink
