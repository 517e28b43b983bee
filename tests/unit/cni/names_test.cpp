#include "plugins/cni/names.hpp"

#include <string>

#include <gtest/gtest.h>

#include "plugins/cni/version.hpp"

namespace netctl::cni {
namespace {

TEST(Versions, AreThePublishedOnesInOrder) {
  EXPECT_EQ(supported_versions(),
            (std::vector<std::string>{"0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"}));
  EXPECT_EQ(supported_versions().back(), kNewestVersion);
}

TEST(Versions, MatchExactly) {
  for (const char* other : {"", "1.0", "v1.0.0", "1.0.0 ", "1.1.1", "2.0.0", "01.0.0", "1.0.0\n", "latest"}) {
    EXPECT_FALSE(is_supported(other)) << other;
  }
}

TEST(Versions, CompareByTheirPlace) {
  EXPECT_TRUE(at_least("0.4.0", "0.4.0"));
  EXPECT_TRUE(at_least("1.1.0", "0.4.0"));
  EXPECT_FALSE(at_least("0.3.1", "0.4.0"));
}

TEST(Identifier, AllowsWhatTheSpecificationAllows) {
  for (const std::string& name : {std::string("a"), std::string("0"), std::string("Ab_c.d-9"),
                                  std::string(4096, 'f'), std::string("default-c1"), std::string("a..")}) {
    EXPECT_TRUE(is_valid_identifier(name)) << name;
  }
}

TEST(Identifier, RefusesEverythingElse) {
  for (const std::string& name :
       {std::string(), std::string("-a"), std::string(".a"), std::string("_a"), std::string("a/b"),
        std::string("a b"), std::string("a\n"), std::string("a\0", 2), std::string("\xC3\xA9"),
        std::string("a:b"), std::string("../a")}) {
    EXPECT_FALSE(is_valid_identifier(name)) << name;
  }
}

TEST(InterfaceName, AllowsWhatTheKernelAllows) {
  for (const std::string name :
       {"eth0", "lo", "a", "fifteen-letters", "net1.100", "eth@1", "-x", "\xC3\xA9th0"}) {
    EXPECT_EQ(interface_name_problem(name), "") << name;
  }
}

TEST(InterfaceName, RefusesWhatTheKernelRefusesOrReadsDifferently) {
  for (const std::string& name :
       {std::string(), std::string("sixteen-letters!"), std::string("."), std::string(".."),
        std::string("a/b"), std::string("a:1"), std::string("a b"), std::string("eth0\n"),
        std::string("\teth0"), std::string("eth%d"), std::string("a\xC2\xA0"), std::string("a\xE2\x80\xA8"),
        std::string("a\xE3\x80\x80"), std::string("a\x01"), std::string("a\x7F"), std::string("a\0", 2),
        std::string("all"), std::string("default")}) {
    EXPECT_NE(interface_name_problem(name), "") << name;
  }
}

TEST(PlainFileName, RefusesWhatLeavesADirectory) {
  EXPECT_TRUE(is_plain_file_name("host-local"));
  EXPECT_TRUE(is_plain_file_name("..."));
  EXPECT_TRUE(is_plain_file_name(std::string(255, 'a')));
  for (const std::string& name :
       {std::string(), std::string("."), std::string(".."), std::string("a/b"), std::string("/a"),
        std::string("a\\b"), std::string("a\0b", 3), std::string(256, 'a')}) {
    EXPECT_FALSE(is_plain_file_name(name)) << name;
  }
}

}  // namespace
}  // namespace netctl::cni
