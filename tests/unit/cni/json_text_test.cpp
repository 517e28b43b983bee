#include "plugins/cni/json_text.hpp"

#include "tests/unit/cni/support.hpp"

namespace netctl::cni {
namespace {

using test::error_of;

std::string nested(std::size_t depth, char open, char close) {
  return std::string(depth, open) + std::string(depth, close);
}

TEST(ParseJson, ReadsADocumentAndTheLastOfEqualKeys) {
  EXPECT_EQ(parse_json(R"( {"a": 1, "a": 2} )", "text"), nlohmann::json({{"a", 2}}));
}

TEST(ParseJson, SaysWhatIsWrong) {
  for (const std::string text :
       {"", " ", "{", "{}x", "nul", "{\"a\":}", "\xFF\xFE", "{\"a\":\"\xC3\"}", "[1e999]"}) {
    const Error error = error_of([&] { return parse_json(text, "the text"); });
    EXPECT_EQ(error.code(), ErrorCode::kDecode) << text;
    EXPECT_EQ(error.message().rfind("the text is ", 0), 0U) << error.message();
    EXPECT_EQ(error.details().find("json.exception"), std::string::npos) << error.details();
  }
}

TEST(ParseJson, LimitsTheDepthAndNothingElse) {
  EXPECT_NO_THROW(static_cast<void>(parse_json(nested(kJsonDepthLimit, '[', ']'), "text")));
  EXPECT_EQ(error_of([] { return parse_json(nested(kJsonDepthLimit + 1, '[', ']'), "text"); }).code(),
            ErrorCode::kDecode);
  EXPECT_EQ(error_of([] { return parse_json(std::string(8U << 20U, '['), "text"); }).code(),
            ErrorCode::kDecode);
  EXPECT_NO_THROW(static_cast<void>(parse_json("\"" + std::string(100, '[') + "\"", "text")))
      << "brackets in a string are text";
  EXPECT_NO_THROW(static_cast<void>(parse_json("\"\\\"" + std::string(100, '{') + "\"", "text")))
      << "an escaped quote ends nothing";
  std::string wide = "[[]";
  for (int i = 0; i < 1000; ++i) wide += ",[]";
  EXPECT_NO_THROW(static_cast<void>(parse_json(wide + "]", "text")));
}

TEST(RepeatedKeys, AreNamedByTheirPlace) {
  EXPECT_EQ(
      find_repeated_keys(
          R"({"a": {"x": 1, "y": {"x": 1}, "x": 2}, "b": [{"a": 1}, {"a": 1, "a": 2}], "a": 3, "c": 1})"),
      (std::vector<std::string>{"a/x", "b/a", "a"}));
  EXPECT_TRUE(find_repeated_keys(R"([{"x": 1}, {"x": 1}, 5])").empty());
  EXPECT_TRUE(find_repeated_keys("").empty()) << "an invocation that was not read from text";
}

TEST(ToText, ReplacesBytesThatAreNotUtf8) {
  EXPECT_EQ(to_text({{"netns", "/run/\xFF"}}), "{\"netns\":\"/run/\xEF\xBF\xBD\"}");
}

TEST(Shortened, KeepsShortTexts) {
  EXPECT_EQ(shortened("abc", 3), "abc");
  EXPECT_EQ(shortened("abcd", 3), "abc...");
}

}  // namespace
}  // namespace netctl::cni
