#include "base/error.hpp"

#include <cstring>

namespace netctl {

Error Error::in(std::string_view doing) const {
  return {code_, std::string(doing) + ": " + message_, details_, sys_errno_};
}

std::string errno_text(int sys_errno) {
  const char* text = ::strerrordesc_np(sys_errno);
  return text != nullptr ? text : "errno " + std::to_string(sys_errno);
}

void throw_errno(std::string_view doing, int sys_errno, ErrorCode code) {
  throw Error(code, std::string(doing) + ": " + errno_text(sys_errno), errno_text(sys_errno), sys_errno);
}

}  // namespace netctl
