#pragma once
// SHA-512 (FIPS 180-4): only for names that other tools made with it. Ours are made by base/hash.hpp.

#include <string>
#include <string_view>

namespace netctl {

/// The first `digits` (at most 128) lower-case hex digits of the hash of `text`.
[[nodiscard]] std::string sha512_hex(std::string_view text, std::size_t digits = 128);

}  // namespace netctl
