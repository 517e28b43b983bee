#pragma once

#include "base/error.hpp"

namespace netctl::ipam {

/// Bytes of the store are not what was written. A type of its own, because the store that it comes from (and no other
/// one whose transaction happens to be open around it) puts its file aside and answers with a plain kStoreDamaged.
class Damage : public Error {
 public:
  explicit Damage(std::string what)
      : Error(ErrorCode::kStoreDamaged, "the state store is damaged", std::move(what)) {}
};

}  // namespace netctl::ipam
