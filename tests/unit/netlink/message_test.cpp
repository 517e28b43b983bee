#include "netlink/message.hpp"

#include <sys/socket.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <cstring>

#include <gmock/gmock.h>

namespace netctl::netlink {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

constexpr Attr<1, std::uint8_t> kOctet{};
constexpr Attr<2, BigEndian<std::uint16_t>> kPort{};
constexpr Attr<3, std::string_view> kText{};
constexpr Attr<4, IpAddress> kAddress{};
constexpr Attr<5, MacAddress> kMac{};
constexpr Attr<6, Flag> kFlag{};
constexpr Attr<7, Bytes> kRaw{};
constexpr Attr<8, std::uint32_t> kNumber{};
constexpr Attr<9, std::uint64_t> kLongNumber{};
constexpr Attr<10, BigEndian<std::uint32_t>> kBigNumber{};

Request empty_request() { return {RTM_NEWLINK, NLM_F_CREATE, "try something"}; }

nlmsghdr header_of(const Request& request) {
  nlmsghdr header{};
  std::memcpy(&header, request.bytes().data(), sizeof header);
  return header;
}

/// The attributes of a request without a family header.
Bytes attributes_of(const Request& request) { return request.bytes().subspan(sizeof(nlmsghdr)); }

TEST(Request, AsksForAnAckAndKnowsItsLength) {
  Request request = empty_request();
  EXPECT_EQ(header_of(request).nlmsg_len, 16U);
  EXPECT_EQ(header_of(request).nlmsg_type, RTM_NEWLINK);
  EXPECT_EQ(header_of(request).nlmsg_flags, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE);
  request.put(kOctet, 7);
  EXPECT_EQ(header_of(request).nlmsg_len, 24U);
  EXPECT_EQ(request.bytes().size(), 24U);
  EXPECT_EQ(request.type(), RTM_NEWLINK);
  EXPECT_EQ(request.doing(), "try something");
}

TEST(Request, StartsWithAZeroedFamilyHeader) {
  Request request = empty_request();
  request.header<ifinfomsg>().ifi_index = 5;
  EXPECT_EQ(request.bytes().size(), 32U);
  EXPECT_THAT(attributes_of(request), ElementsAre(0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0));
}

TEST(Request, PadsAFamilyHeaderOfOddSize) {
  Request request = empty_request();
  request.header<rtgenmsg>();
  EXPECT_EQ(request.bytes().size(), 20U);
}

TEST(Request, RefusesAFamilyHeaderAfterAttributes) {
  Request request = empty_request();
  request.put(kOctet, 7);
  EXPECT_THROW(request.header<ifinfomsg>(), Error);
}

TEST(Request, PadsAttributesWithZeros) {
  Request request = empty_request();
  request.put(kOctet, 7).put(kText, "ab");
  EXPECT_THAT(attributes_of(request), ElementsAre(5, 0, 1, 0, 7, 0, 0, 0, 7, 0, 3, 0, 'a', 'b', 0, 0));
}

TEST(Request, WritesBigEndianWhereTheAttributeSaysSo) {
  Request request = empty_request();
  request.put(kPort, {0x1f90}).put(kBigNumber, {0x01020304});
  EXPECT_THAT(attributes_of(request), ElementsAre(6, 0, 2, 0, 0x1f, 0x90, 0, 0, 8, 0, 10, 0, 1, 2, 3, 4));
}

TEST(Request, KeepsTheLengthOfEveryNest) {
  Request request = empty_request();
  request.nest(20, [](Request& outer) {
    outer.put(kOctet, 1).nest(21, [](Request& inner) { inner.put(kFlag, {}); });
  });
  const auto outer = parse_attributes(attributes_of(request));
  ASSERT_EQ(outer.size(), 1U);
  EXPECT_EQ(outer[0].type, 20);
  const auto inner = parse_attributes(outer[0].payload);
  ASSERT_EQ(inner.size(), 2U);
  EXPECT_EQ(inner[1].type, 21);
  EXPECT_THAT(inner[1].payload, ElementsAre(4, 0, 6, 0));
}

TEST(Request, MarksNestsAsSuch) {
  Request request = empty_request();
  request.nest(20, [](Request&) {});
  EXPECT_THAT(attributes_of(request), ElementsAre(4, 0, 20, 0x80));
}

TEST(Request, PutsAHeaderInsideANest) {
  Request request = empty_request();
  const std::vector<std::uint8_t> raw{1, 2, 3, 4, 5};
  request.nest(20, [&raw](Request& nest) { nest.append_raw(raw).put(kFlag, {}); });
  EXPECT_THAT(attributes_of(request), ElementsAre(16, 0, 20, 0x80, 1, 2, 3, 4, 5, 0, 0, 0, 4, 0, 6, 0));
}

TEST(Request, TakesTheLongestAttributeAndNoLonger) {
  std::vector<std::uint8_t> payload(65531, 'x');
  Request request = empty_request();
  request.put(kRaw, payload);
  const auto read = find_attribute(attributes_of(request), 7);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->payload.size(), 65531U);
  payload.push_back('x');
  EXPECT_THROW(request.put(kRaw, payload), Error);
}

TEST(Request, RefusesANestThatIsTooLong) {
  const std::vector<std::uint8_t> payload(40000, 'x');
  Request request = empty_request();
  try {
    request.nest(20, [&payload](Request& nest) { nest.put(kRaw, payload).put(kRaw, payload); });
    FAIL() << "a nest of 80,000 bytes was taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInternal);
    EXPECT_THAT(error.message(), HasSubstr("try something"));
  }
}

TEST(Request, ToleratesWhatItWasTold) {
  Request request = empty_request();
  EXPECT_FALSE(request.tolerates(EEXIST));
  request.tolerate({EEXIST, ENOENT}).tolerate({ESRCH});
  EXPECT_TRUE(request.tolerates(EEXIST));
  EXPECT_TRUE(request.tolerates(ESRCH));
  EXPECT_FALSE(request.tolerates(EPERM));
}

TEST(Attributes, ComeBackAsTheyWerePut) {
  const std::vector<std::uint8_t> raw{9, 8, 7};
  const auto mac = *MacAddress::parse("02:00:00:00:00:01");
  Request request = empty_request();
  request.put(kOctet, 200).put(kPort, {8080}).put(kText, "eth0").put(kMac, mac).put(kFlag, {}).put(kRaw, raw);
  request.put(kNumber, 0xdeadbeef).put(kLongNumber, 0x0102030405060708).put(kBigNumber, {7});
  request.put(kAddress, *IpAddress::parse("10.1.2.3")).put(kAddress, *IpAddress::parse("fd00::1"));
  const auto read = parse_attributes(attributes_of(request));
  ASSERT_EQ(read.size(), 11U);
  EXPECT_EQ(read[0].u8(), 200);
  EXPECT_EQ(read[1].be16(), 8080);
  EXPECT_EQ(read[2].text(), "eth0");
  EXPECT_EQ(read[3].mac(), mac);
  EXPECT_TRUE(read[4].payload.empty());
  EXPECT_THAT(read[5].payload, ElementsAreArray(raw));
  EXPECT_EQ(read[6].u32(), 0xdeadbeef);
  EXPECT_EQ(read[7].u64(), 0x0102030405060708U);
  EXPECT_EQ(read[8].be32(), 7U);
  EXPECT_EQ(read[9].ip().to_string(), "10.1.2.3");
  EXPECT_EQ(read[10].ip().to_string(), "fd00::1");
}

TEST(Attributes, OfTheWrongSizeAreRefused) {
  const std::vector<std::uint8_t> five(5);
  const Attribute attribute{1, five};
  EXPECT_THROW((void)attribute.u8(), Error);
  EXPECT_THROW((void)attribute.u16(), Error);
  EXPECT_THROW((void)attribute.u32(), Error);
  EXPECT_THROW((void)attribute.u64(), Error);
  EXPECT_THROW((void)attribute.be16(), Error);
  EXPECT_THROW((void)attribute.be32(), Error);
  EXPECT_THROW((void)attribute.ip(), Error);
  EXPECT_EQ(attribute.mac(), std::nullopt);
}

TEST(Attributes, MayLackTheTerminatorOfAText) {
  const std::vector<std::uint8_t> text{'e', 't', 'h'};
  EXPECT_EQ((Attribute{1, text}).text(), "eth");
  EXPECT_EQ((Attribute{1, {}}).text(), "");
}

TEST(Attributes, LoseTheFlagBitsOfTheirType) {
  const std::vector<std::uint8_t> bytes{4, 0, 18, 0x80, 4, 0, 19, 0x40};
  const auto read = parse_attributes(bytes);
  ASSERT_EQ(read.size(), 2U);
  EXPECT_EQ(read[0].type, 18);
  EXPECT_EQ(read[1].type, 19);
}

TEST(Attributes, MayEndWithoutPadding) {
  const std::vector<std::uint8_t> bytes{5, 0, 1, 0, 42};
  ASSERT_EQ(parse_attributes(bytes).size(), 1U);
  EXPECT_EQ(find_attribute(bytes, 1)->u8(), 42);
}

TEST(Attributes, ThatAreCutOffAreRefused) {
  const std::vector<std::vector<std::uint8_t>> broken{
      {5},                          // half a header
      {8, 0, 1, 0, 1, 2, 3},        // one byte short
      {3, 0, 1, 0},                 // shorter than its own header
      {0, 0, 0, 0},                 // would never advance
      {255, 255, 1, 0, 1, 2, 3, 4}  // far too long
  };
  for (const auto& bytes : broken) {
    EXPECT_THROW((void)parse_attributes(bytes), Error);
    EXPECT_THROW((void)find_attribute(bytes, 1000), Error);
  }
}

TEST(Attributes, AreFoundInOrder) {
  const std::vector<std::uint8_t> bytes{5, 0, 1, 0, 1, 0, 0, 0, 5, 0, 1, 0, 2, 0, 0, 0};
  EXPECT_EQ(find_attribute(bytes, 1)->u8(), 1);
  EXPECT_FALSE(find_attribute(bytes, 2));
  EXPECT_FALSE(find_attribute({}, 1));
}

TEST(Reply, ShorterThanItsHeaderIsRefused) {
  const Reply reply{RTM_NEWLINK, 0, std::vector<std::uint8_t>(15)};
  EXPECT_THROW((void)reply.header<ifinfomsg>(), Error);
  EXPECT_TRUE(reply.attributes<ifinfomsg>().empty());
}

TEST(Reply, FindsAttributesBehindAPaddedHeader) {
  const Reply reply{RTM_NEWLINK, 0, {AF_INET, 0, 0, 0, 5, 0, 1, 0, 9}};
  EXPECT_EQ(reply.header<rtgenmsg>().rtgen_family, AF_INET);
  EXPECT_EQ(find_attribute(reply.attributes<rtgenmsg>(), 1)->u8(), 9);
}

}  // namespace
}  // namespace netctl::netlink
