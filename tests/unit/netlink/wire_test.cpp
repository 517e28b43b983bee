#include "netlink/wire.hpp"

#include <climits>
#include <cstring>

#include <gmock/gmock.h>

#include "tests/unit/netlink/hex.hpp"
#include "tests/unit/netlink/recorded.hpp"

namespace netctl::netlink {
namespace {

/// What read_ack makes of a whole recorded datagram.
Ack ack_of(Bytes datagram) {
  Ack ack;
  for_each_message(datagram, [&ack](const nlmsghdr& header, Bytes payload) {
    ack = read_ack(header.nlmsg_flags, payload);
  });
  return ack;
}

std::vector<std::uint8_t> errno_bytes(int value) {
  std::vector<std::uint8_t> bytes(sizeof value);
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

TEST(Ack, OfSuccessIsRead) {
  const Ack ack = ack_of(from_hex(recorded::kPlainAck));
  EXPECT_EQ(ack.sys_errno, 0);
  EXPECT_EQ(ack.kernel_text, "");
}

TEST(Ack, CarriesTheKernelsWordsBehindTheEchoedRequest) {
  const Ack ack = ack_of(from_hex(recorded::kRefusalWithText));
  EXPECT_EQ(ack.sys_errno, ENETUNREACH);
  EXPECT_EQ(ack.kernel_text, "Nexthop has invalid gateway");
}

TEST(Ack, WithoutWordsIsRead) {
  const Ack ack = ack_of(from_hex(recorded::kRefusalWithoutText));
  EXPECT_EQ(ack.sys_errno, ENOENT);
  EXPECT_EQ(ack.kernel_text, "");
}

/// The same refusal as a socket with NETLINK_CAP_ACK gets it: the request's header is echoed, its body is not.
std::vector<std::uint8_t> capped_refusal() {
  const auto full = from_hex(recorded::kRefusalWithText);
  std::vector<std::uint8_t> payload(full.begin() + 16, full.begin() + 16 + sizeof(nlmsgerr));
  const std::ptrdiff_t text_at = 16 + 4 + 44;
  payload.insert(payload.end(), full.begin() + text_at, full.end());
  return payload;
}

TEST(Ack, CarriesTheKernelsWordsBehindACappedRequest) {
  const Ack ack = read_ack(NLM_F_CAPPED | NLM_F_ACK_TLVS, capped_refusal());
  EXPECT_EQ(ack.sys_errno, ENETUNREACH);
  EXPECT_EQ(ack.kernel_text, "Nexthop has invalid gateway");
}

TEST(Ack, KeepsTheErrnoHoweverMuchOfTheTextIsMissing) {
  const auto payload = capped_refusal();
  for (std::size_t size = sizeof(int); size < payload.size(); ++size) {
    const std::vector<std::uint8_t> part(payload.begin(),
                                         payload.begin() + static_cast<std::ptrdiff_t>(size));
    const Ack ack = read_ack(NLM_F_CAPPED | NLM_F_ACK_TLVS, part);
    EXPECT_EQ(ack.sys_errno, ENETUNREACH) << size;
  }
}

TEST(Ack, WithoutRoomForTheErrnoIsRefused) {
  const std::vector<std::uint8_t> three(3);
  EXPECT_THROW((void)read_ack(0, three), Error);
  EXPECT_THROW((void)read_ack(0, {}), Error);
}

TEST(Ack, DoesNotBelieveTheEchoedLength) {
  auto payload = from_hex(recorded::kRefusalWithText);
  payload.erase(payload.begin(), payload.begin() + 16);
  for (const std::uint32_t lie : {0U, 15U, 100000U, 0xffffffffU}) {
    std::memcpy(payload.data() + sizeof(int), &lie, sizeof lie);
    const Ack ack = read_ack(NLM_F_ACK_TLVS, payload);
    EXPECT_EQ(ack.sys_errno, ENETUNREACH);
    EXPECT_EQ(ack.kernel_text, "");
  }
}

TEST(Ack, WithAnImpossibleErrnoIsStillARefusal) {
  for (const int value : {1, INT_MAX, INT_MIN, -4096}) {
    EXPECT_EQ(read_ack(0, errno_bytes(value)).sys_errno, EPROTO) << value;
  }
  EXPECT_EQ(read_ack(0, errno_bytes(-4095)).sys_errno, 4095);
}

TEST(Done, TellsHowTheDumpEnded) {
  Ack end;
  end.sys_errno = -1;
  for_each_message(from_hex(recorded::kDoneOfDump), [&end](const nlmsghdr& header, Bytes payload) {
    EXPECT_EQ(header.nlmsg_type, NLMSG_DONE);
    end = read_done(header.nlmsg_flags, payload);
  });
  EXPECT_EQ(end.sys_errno, 0);
  EXPECT_EQ(read_done(0, errno_bytes(-EOPNOTSUPP)).sys_errno, EOPNOTSUPP);
  EXPECT_EQ(read_done(0, {}).sys_errno, 0);
  const std::vector<std::uint8_t> two(2);
  EXPECT_THROW((void)read_done(0, two), Error);
}

TEST(Done, CarriesTheKernelsWords) {
  auto payload = errno_bytes(-EINVAL);
  const std::string text = "Invalid header";
  payload.insert(payload.end(), {static_cast<std::uint8_t>(4 + text.size()), 0, NLMSGERR_ATTR_MSG, 0});
  payload.insert(payload.end(), text.begin(), text.end());
  EXPECT_EQ(read_done(NLM_F_ACK_TLVS, payload).kernel_text, text);
  EXPECT_EQ(read_done(0, payload).kernel_text, "");
}

TEST(Datagram, IsSplitIntoItsMessages) {
  auto datagram = from_hex(recorded::kPlainAck);
  const auto second = from_hex(recorded::kRefusalWithoutText);
  datagram.insert(datagram.end(), second.begin(), second.end());
  std::vector<int> errnos;
  for_each_message(datagram, [&errnos](const nlmsghdr& header, Bytes payload) {
    errnos.push_back(read_ack(header.nlmsg_flags, payload).sys_errno);
  });
  EXPECT_THAT(errnos, ::testing::ElementsAre(0, ENOENT));
}

TEST(Datagram, ThatIsCutOffIsRefused) {
  const auto whole = from_hex(recorded::kPlainAck);
  for (std::size_t size = 1; size < whole.size(); ++size) {
    const std::vector<std::uint8_t> part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_THROW(for_each_message(part, [](const nlmsghdr&, Bytes) {}), Error) << size;
  }
}

TEST(Datagram, WithAMessageShorterThanItsHeaderIsRefused) {
  std::vector<std::uint8_t> datagram(16);
  EXPECT_THROW(for_each_message(datagram, [](const nlmsghdr&, Bytes) {}), Error);
}

}  // namespace
}  // namespace netctl::netlink
