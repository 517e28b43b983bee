#include "base/error.hpp"

#include <gmock/gmock.h>

namespace netctl {
namespace {

TEST(Error, KeepsEverythingWhenContextIsAdded) {
  const Error inner(ErrorCode::kKernel, "could not add it: File exists", "the kernel's words", EEXIST);
  const Error outer = inner.in("create bridge br0");
  EXPECT_EQ(outer.message(), "create bridge br0: could not add it: File exists");
  EXPECT_STREQ(outer.what(), outer.message().c_str());
  EXPECT_EQ(outer.code(), ErrorCode::kKernel);
  EXPECT_EQ(outer.details(), "the kernel's words");
  EXPECT_EQ(outer.sys_errno(), EEXIST);
}

TEST(Error, NamesErrnos) {
  EXPECT_EQ(errno_text(ENOENT), "No such file or directory");
  EXPECT_EQ(errno_text(4095), "errno 4095");
}

TEST(Error, IsMadeOfAnErrno) {
  errno = EACCES;
  try {
    throw_errno("open the file");
  } catch (const Error& error) {
    EXPECT_EQ(error.message(), "open the file: Permission denied");
    EXPECT_EQ(error.code(), ErrorCode::kKernel);
    EXPECT_EQ(error.sys_errno(), EACCES);
  }
  try {
    throw_errno("open the file", EIO, ErrorCode::kIo);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kIo);
    EXPECT_EQ(error.sys_errno(), EIO);
  }
}

}  // namespace
}  // namespace netctl
