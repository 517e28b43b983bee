#include "base/private_directory.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include "base/error.hpp"

namespace netctl {
namespace {

void make_directory(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) == 0 || errno == EEXIST) return;
  const int reason = errno;
  const std::size_t slash = path.find_last_of('/');
  if (reason != ENOENT || slash == std::string::npos || slash == 0) {
    throw_errno("make the directory " + path, reason, ErrorCode::kIo);
  }
  constexpr mode_t kParentMode = 0755;
  make_directory(path.substr(0, slash), kParentMode);
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) {
    throw_errno("make the directory " + path, errno, ErrorCode::kIo);
  }
}

}  // namespace

bool is_private_directory(const std::string& directory, const std::string& what) {
  struct stat status {};
  if (::lstat(directory.c_str(), &status) != 0) {
    if (errno == ENOENT) return false;
    throw_errno("look at " + directory, errno, ErrorCode::kIo);
  }
  const auto refuse = [&](const char* why, const char* remedy) {
    throw Error(ErrorCode::kIo, what + " " + directory + " " + why + "; " + remedy);
  };
  if (!S_ISDIR(status.st_mode)) refuse("is not a directory (a link is not followed)", "remove it");
  if (status.st_uid != 0 && status.st_uid != ::geteuid())
    refuse("belongs to another user", "give it to root");
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) refuse("is writable for others", "chmod it to 0700");
  return true;
}

void make_private_directory(const std::string& directory, const std::string& what) {
  if (is_private_directory(directory, what)) return;
  constexpr mode_t kPrivate = 0700;
  make_directory(directory, kPrivate);
  if (!is_private_directory(directory, what))
    throw Error(ErrorCode::kIo, what + " " + directory + " vanished");
}

}  // namespace netctl
