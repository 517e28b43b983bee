#include "netctl/table.hpp"

#include <limits>

#include <gtest/gtest.h>

namespace netctl::cli {
namespace {

TEST(Table, HasColumnsAsWideAsTheirWidestCell) {
  EXPECT_EQ(render({"NAME", "ID", "STATE"}, {{"web", "0123456789ab", "alive"}, {"database", "1", "dead"}}),
            "NAME      ID            STATE\n"
            "web       0123456789ab  alive\n"
            "database  1             dead\n");
}

TEST(Table, ShowsWhatIsMissing) {
  EXPECT_EQ(render({"NAME", "PORTS"}, {{"", "80"}, {"web", ""}, {"short"}, {}}),
            "NAME   PORTS\n"
            "-      80\n"
            "web    -\n"
            "short  -\n"
            "-      -\n");
}

TEST(Table, HasItsHeadsAlsoWithoutRows) { EXPECT_EQ(render({"NAME", "ID"}, {}), "NAME  ID\n"); }

TEST(Table, LeavesCellsWithoutAHeadOut) { EXPECT_EQ(render({"NAME"}, {{"web", "extra"}}), "NAME\nweb\n"); }

TEST(AgeText, UsesTheLargestUnitThatIsNotZero) {
  constexpr std::int64_t kHour = 3600;
  constexpr std::int64_t kDay = 24 * kHour;
  const struct {
    std::int64_t seconds;
    const char* text;
  } cases[] = {{0, "0s"},     {1, "1s"},
               {59, "59s"},   {60, "1m"},
               {119, "1m"},   {kHour - 1, "59m"},
               {kHour, "1h"}, {kDay - 1, "23h"},
               {kDay, "1d"},  {400 * kDay, "400d"},
               {-1, "0s"},    {std::numeric_limits<std::int64_t>::min(), "0s"}};
  for (const auto& one : cases) EXPECT_EQ(age_text(one.seconds), one.text) << one.seconds;
}

TEST(Join, PutsTheTextBetweenTheWords) {
  EXPECT_EQ(join({}), "");
  EXPECT_EQ(join({"a"}), "a");
  EXPECT_EQ(join({"a", "b", "c"}), "a, b, c");
  EXPECT_EQ(join({"a", "b"}, "/"), "a/b");
}

}  // namespace
}  // namespace netctl::cli
