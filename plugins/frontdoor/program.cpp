#include "plugins/frontdoor/program.hpp"

#include <new>

#include "plugins/cni/json_text.hpp"
#include "plugins/cni/program.hpp"

namespace netctl::frontdoor {
namespace {

void report_quietly(const std::function<void(const Error&)>& report, const Error& error) noexcept {
  try {
    report(error);
  } catch (...) {
    return;  // nobody listens any more; the exit code says the rest
  }
}

}  // namespace

nlohmann::json parse_document(const std::string& text, const std::string& what) {
  if (text.size() > kDocumentLimitBytes) {
    throw Error(ErrorCode::kDecode, what + " is larger than 8 MiB: make it smaller");
  }
  nlohmann::json document = cni::parse_json(text, what);
  if (!document.is_object()) {
    throw Error(ErrorCode::kDecode, what + " must be a JSON object, not " + document.type_name());
  }
  return document;
}

nlohmann::json read_document(const std::string& what) {
  const auto text = cni::read_standard_input(kDocumentLimitBytes);
  if (!text) throw Error(ErrorCode::kDecode, what + " is larger than 8 MiB: make it smaller");
  return parse_document(*text, what);
}

bool run_guarded(const std::function<void()>& work,
                 const std::function<void(const Error&)>& report) noexcept {
  try {
    work();
    return true;
  } catch (const Error& error) {
    report_quietly(report, error);
  } catch (const std::bad_alloc&) {
    report_quietly(report,
                   Error(ErrorCode::kInternal, "out of memory: give the runtime's control group more"));
  } catch (const std::exception& error) {
    report_quietly(report, Error(ErrorCode::kInternal, "internal error, a defect of netctl", error.what()));
  } catch (...) {
    report_quietly(report, Error(ErrorCode::kInternal, "internal error, a defect of netctl"));
  }
  return false;
}

std::string one_line(const Error& error) {
  std::string text = error.message();
  if (!error.details().empty()) text += " (" + error.details() + ")";
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20U || c == '\x7F') c = '?';
  }
  return text;
}

}  // namespace netctl::frontdoor
