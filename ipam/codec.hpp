#pragma once
// Records as bytes: CBOR objects with named fields. A field that this version does not know survives in `extra` and is
// written back, so that a newer and an older executable can share a store of one schema.

#include <string>

#include "ipam/records.hpp"

namespace netctl::ipam {

/// Number of the key and record layout. A store with a higher one is refused.
inline constexpr unsigned kSchema = 1;

[[nodiscard]] std::string encode(const AttachmentRecord& record);
[[nodiscard]] std::string encode(const NetworkRecord& record);
[[nodiscard]] std::string encode(const ReservationRecord& record);

// Errors of all: kStoreDamaged when the bytes are no record of this kind.
[[nodiscard]] AttachmentRecord decode_attachment(const std::string& bytes);
[[nodiscard]] NetworkRecord decode_network(const std::string& bytes);
[[nodiscard]] ReservationRecord decode_reservation(const std::string& bytes);

/// Puts a version byte and a checksum over key and value in front of a value.
[[nodiscard]] std::string seal(const std::string& key, const std::string& value);
/// The value again. Errors: kStoreDamaged; kIo when a newer version wrote it.
[[nodiscard]] std::string unseal(const std::string& key, std::string_view sealed);

}  // namespace netctl::ipam
