#include "plugins/cni/json_text.hpp"

#include <set>

namespace netctl::cni {
namespace {

// The parser itself does not recurse, but most of what is done with its result does.
bool is_too_deep(std::string_view text) {
  std::size_t depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kJsonDepthLimit) return true;
    } else if ((c == ']' || c == '}') && depth > 0) {
      --depth;
    }
  }
  return false;
}

// "[json.exception.parse_error.101] parse error at line 1, ..." without the library's own label.
std::string reason_of(const nlohmann::json::exception& error) {
  const std::string_view text = error.what();
  const std::size_t label_end = text.find("] ");
  return shortened(std::string(label_end == std::string_view::npos ? text : text.substr(label_end + 2)));
}

/// Follows the parser and notes keys that come twice in one object.
class RepeatedKeys {
 public:
  explicit RepeatedKeys(std::vector<std::string>* repeated) : repeated_(repeated) {}

  bool operator()(int /*depth*/, nlohmann::json::parse_event_t event, nlohmann::json& value) {
    using Event = nlohmann::json::parse_event_t;
    if (event == Event::object_start || event == Event::array_start) {
      const std::string path = open_.empty() ? std::string() : open_.back().current_key;
      open_.push_back({path, path, {}});
    } else if (event == Event::object_end || event == Event::array_end) {
      open_.pop_back();
    } else if (event == Event::key) {
      Container& object = open_.back();
      const auto& key = value.get_ref<const std::string&>();
      object.current_key = object.path + (object.path.empty() ? "" : "/") + key;
      if (!object.keys.insert(key).second) repeated_->push_back(object.current_key);
    }
    return true;
  }

 private:
  struct Container {
    std::string path;
    std::string current_key;
    std::set<std::string> keys;
  };
  std::vector<std::string>* repeated_;
  std::vector<Container> open_;
};

}  // namespace

nlohmann::json parse_json(std::string_view text, std::string_view what) {
  if (is_too_deep(text)) {
    throw Error(ErrorCode::kDecode, std::string(what) + " is nested deeper than " +
                                        std::to_string(kJsonDepthLimit) + " levels: flatten it");
  }
  try {
    return nlohmann::json::parse(text);
  } catch (const nlohmann::json::exception& error) {
    throw Error(ErrorCode::kDecode,
                std::string(what) + (text.empty() ? " is empty" : " is not valid JSON") +
                    ": it must be one JSON object",
                reason_of(error));
  }
}

std::vector<std::string> find_repeated_keys(std::string_view text) {
  std::vector<std::string> repeated;
  [[maybe_unused]] const auto read = nlohmann::json::parse(text, RepeatedKeys(&repeated), false);
  return repeated;
}

std::string to_text(const nlohmann::json& json, int indent) {
  return json.dump(indent, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string shortened(std::string text, std::size_t limit) {
  if (text.size() > limit) text.replace(limit, std::string::npos, "...");
  return text;
}

}  // namespace netctl::cni
