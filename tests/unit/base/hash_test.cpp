#include "base/hash.hpp"

#include <set>

#include <gmock/gmock.h>

namespace netctl {
namespace {

TEST(Hash, NeverChanges) {
  // Names of links on running machines are made of these: a new version that computes another value would lose them.
  EXPECT_EQ(hash_parts({"network", "container", "eth0"}).hex(), "1064e5ddbf79d3579ca7748bcd87904f");
  EXPECT_EQ(hash_parts({}).hex(), "99aa06d3014798d86001c324468d497f");
}

TEST(Hash, TellsWhereOnePartEnds) {
  const std::set<Hash128> different{
      hash_parts({"a", "bc"}), hash_parts({"ab", "c"}),   hash_parts({"abc"}),      hash_parts({"abc", ""}),
      hash_parts({"", "abc"}), hash_parts({"1:a", "bc"}), hash_parts({"a1:b", "c"})};
  EXPECT_EQ(different.size(), 7U);
}

TEST(Hash, TakesPartsOfAnyLengthAndContent) {
  const std::string long_id(4096, 'x');
  EXPECT_NE(hash_parts({long_id}), hash_parts({long_id + "x"}));
  EXPECT_NE(hash_parts({std::string_view("a\0b", 3)}), hash_parts({std::string_view("a\0c", 3)}));
}

TEST(Hash, IsWrittenFromItsMostSignificantDigit) {
  const Hash128 hash = hash_parts({"network"});
  EXPECT_EQ(hash.hex().size(), 32U);
  EXPECT_EQ(hash.hex(13), hash.hex().substr(0, 13));
  EXPECT_EQ(std::stoull(hash.hex(16), nullptr, 16), hash.high());
}

TEST(Checksum, SeesEveryBit) {
  std::vector<std::uint8_t> record(100, 7);
  const std::uint64_t whole = checksum(record);
  EXPECT_EQ(checksum(record), whole);
  for (std::size_t bit = 0; bit < record.size() * 8; ++bit) {
    const auto mask = static_cast<std::uint8_t>(1U << (bit % 8));
    record[bit / 8] ^= mask;
    EXPECT_NE(checksum(record), whole) << bit;
    record[bit / 8] ^= mask;
  }
  record.pop_back();
  EXPECT_NE(checksum(record), whole);
}

}  // namespace
}  // namespace netctl
