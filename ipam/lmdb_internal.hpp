#pragma once
// LMDB's values and errors in our terms.

#include <string>
#include <string_view>

#include <lmdb.h>

#include "base/error.hpp"
#include "ipam/damage_internal.hpp"

namespace netctl::ipam {

/// LMDB does not write through it; its C interface just has no const.
inline MDB_val lmdb_value(const std::string& bytes) {
  return {bytes.size(), const_cast<char*>(bytes.data())};
}

inline std::string_view lmdb_view(const MDB_val& value) {
  return {static_cast<const char*>(value.mv_data), value.mv_size};
}

/// Errors: Damage when LMDB finds the file inconsistent, kIo for everything else.
inline void check_lmdb(int result, const char* doing) {
  if (result == MDB_SUCCESS) return;
  const std::string details = ::mdb_strerror(result);
  const int sys_errno = result > 0 ? result : 0;
  switch (result) {
    case MDB_PANIC:  // not damage: LMDB goes on strike after a write that failed, and the file is as it was before
      throw Error(ErrorCode::kIo,
                  "the state store could not be written; look at its file system and try again", details);
    case MDB_MAP_FULL:
      throw Error(ErrorCode::kIo, "the state store has reached its greatest size; run `netctl gc`", details);
    case ENOSPC:
    case EDQUOT:
      throw Error(ErrorCode::kIo, "no space is left for the state store; make room in its file system",
                  details, sys_errno);
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_CURSOR_FULL:
    case MDB_PAGE_FULL:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_INCOMPATIBLE:
      throw Damage(std::string("cannot ") + doing + ": " + details);
    default:
      throw Error(ErrorCode::kIo, std::string("the state store cannot ") + doing + ": " + details, details,
                  sys_errno);
  }
}

}  // namespace netctl::ipam
