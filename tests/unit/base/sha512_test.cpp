#include "base/sha512.hpp"

#include <gtest/gtest.h>

namespace netctl {
namespace {

// Expected values: `printf %s TEXT | sha512sum`.
TEST(Sha512, KnownTexts) {
  EXPECT_EQ(sha512_hex("", 32), "cf83e1357eefb8bdf1542850d66d8007");
  EXPECT_EQ(sha512_hex("abc"),
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
            "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
}

TEST(Sha512, EveryLengthAroundABlock) {
  // The padding needs a block of its own from 112 bytes on.
  EXPECT_EQ(sha512_hex(std::string(111, 'a'), 32), "fa9121c7b32b9e01733d034cfc78cbf6");
  EXPECT_EQ(sha512_hex(std::string(112, 'a'), 32), "c01d080efd492776a1c43bd23dd99d0a");
  EXPECT_EQ(sha512_hex(std::string(127, 'a'), 32), "828613968b501dc00a97e08c73b118aa");
  EXPECT_EQ(sha512_hex(std::string(128, 'a'), 32), "b73d1929aa615934e61a871596b3f3b3");
  EXPECT_EQ(sha512_hex(std::string(4096, 'a'), 32), "eb7040948a189a59d72d1e53869fba1a");
}

}  // namespace
}  // namespace netctl
