#include "iptables/element.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "iptables/nft_batch.hpp"
#include "iptables/nft_set.hpp"
#include "iptables/policy_elements.hpp"
#include "tests/unit/iptables/sample.hpp"

namespace netctl::iptables {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Key = std::vector<std::uint8_t>;

ElementPart part(Key key, bool ends_interval) {
  ElementPart part;
  part.element.set = SetId::kMasquerade4;
  part.element.key = std::move(key);
  part.ends_interval = ends_interval;
  return part;
}

TEST(Comment, IsCutAtTheBorderOfACharacter) {
  EXPECT_EQ(printable_comment(std::string(120, 'a')), std::string(120, 'a'));
  EXPECT_EQ(printable_comment(std::string(121, 'a')), std::string(120, 'a'));
  const std::string umlauts = std::string(119, 'a') + "\xc3\xa4\xc3\xa4";
  EXPECT_EQ(printable_comment(umlauts), std::string(119, 'a'));
}

TEST(Comment, HoldsNothingThatEndsAQuotedString) {
  EXPECT_EQ(printable_comment("a\"b\nc\x7f"
                              "d"),
            "a_b_c_d");
  EXPECT_EQ(printable_comment("k\xc3\xa4se"), "k\xc3\xa4se");
}

TEST(KeyBehind, CarriesAndEndsWithTheAddressSpace) {
  EXPECT_EQ(key_behind({10, 88, 255, 255}), (Key{10, 89, 0, 0}));
  EXPECT_EQ(key_behind({10, 0, 0, 1}), (Key{10, 0, 0, 2}));
  EXPECT_THAT(key_behind({255, 255, 255, 255}), IsEmpty());
}

TEST(JoinIntervals, PutsStartsAndEndsTogetherInAnyOrder) {
  const std::vector<Element> elements =
      join_intervals({part({10, 90, 0, 0}, true), part({10, 89, 0, 0}, false), part({10, 89, 0, 0}, true),
                      part({10, 88, 0, 0}, false), part({0, 0, 0, 0}, true), part({224, 0, 0, 0}, false)});
  ASSERT_EQ(elements.size(), 3U);
  EXPECT_EQ(describe_key(elements[0]), "10.88.0.0/16");
  EXPECT_EQ(describe_key(elements[1]), "10.89.0.0/16");
  EXPECT_EQ(describe_key(elements[2]), "224.0.0.0/3") << "without an end it reaches the last address";
}

TEST(JoinIntervals, EndCarriesBackwards) {
  const std::vector<Element> elements =
      join_intervals({part({10, 0, 0, 0}, false), part({11, 0, 0, 0}, true)});
  ASSERT_EQ(elements.size(), 1U);
  EXPECT_EQ(elements[0].key_end, (Key{10, 255, 255, 255}));
}

TEST(FieldReader, RefusesWhatIsTooShort) {
  const Key bytes{6, 0, 0, 0, 31};
  FieldReader reader(bytes);
  EXPECT_EQ(reader.protocol(), Protocol::kTcp);
  EXPECT_THROW((void)reader.port(), Error);
}

TEST(Describe, PrintsWhatPeopleWouldWrite) {
  Element element;
  element.set = SetId::kPublish4Ranges;
  element.key = {17, 0, 0, 0, 0, 53, 0, 0};
  element.key_end = {17, 0, 0, 0, 0, 55, 0, 0};
  element.data = {10, 88, 0, 2};
  EXPECT_EQ(describe(element), "publish4_ranges { udp . 53-55 : 10.88.0.2 }");
}

TEST(Batch, OneMessageASetUnlessItGetsTooLong) {
  NftBatch small;
  const std::size_t empty = small.bytes().size();
  EXPECT_EQ(empty, 20U);
  small.add_elements({});
  EXPECT_EQ(small.bytes().size(), empty);

  // A list of elements is one attribute with a length of 16 bits: 10,000 ports need several messages.
  std::vector<PublishedPort> ports;
  for (unsigned i = 0; i < 10000; ++i)
    ports.push_back(sample::port(Protocol::kTcp, nullptr, 1 + i, "10.88.0.2", 1 + i));
  for (PublishedPort& port : ports) port.comment = std::string(120, 'c');
  NftBatch large;
  large.add_elements(elements_of(ports));
  netlink::Bytes rest = large.bytes();
  std::size_t messages = 0;
  while (!rest.empty()) {
    const std::size_t length = rest[0] | std::size_t{rest[1]} << 8 | std::size_t{rest[2]} << 16;
    ASSERT_GE(length, 20U);
    ASSERT_LE(length, 65535U);
    ASSERT_LE(length, rest.size());
    rest = rest.subspan(length);
    ++messages;
  }
  EXPECT_GT(messages, 20U);
  EXPECT_LT(messages, 200U);
}

}  // namespace
}  // namespace netctl::iptables
