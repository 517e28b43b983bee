#include "base/undo_stack.hpp"

#include <gmock/gmock.h>

#include "base/error.hpp"

namespace netctl {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class UndoStackTest : public ::testing::Test {
 protected:
  UndoStack::Report report() {
    return [this](const std::string& step, const std::string& reason) {
      reported_.push_back(step + ": " + reason);
    };
  }
  std::function<void()> undo(const std::string& what) {
    return [this, what] { undone_.push_back(what); };
  }

  std::vector<std::string> undone_;
  std::vector<std::string> reported_;
};

TEST_F(UndoStackTest, UndoesInReverseOrder) {
  {
    UndoStack undo_stack(report());
    undo_stack.on_failure("first", undo("first"));
    undo_stack.on_failure("second", undo("second"));
  }
  EXPECT_THAT(undone_, ElementsAre("second", "first"));
}

TEST_F(UndoStackTest, UndoesNothingOnceCommitted) {
  {
    UndoStack undo_stack(report());
    undo_stack.on_failure("first", undo("first"));
    undo_stack.commit();
  }
  EXPECT_THAT(undone_, IsEmpty());
}

TEST_F(UndoStackTest, UndoesWhatCameAfterACommit) {
  {
    UndoStack undo_stack(report());
    undo_stack.on_failure("first", undo("first"));
    undo_stack.commit();
    undo_stack.on_failure("second", undo("second"));
  }
  EXPECT_THAT(undone_, ElementsAre("second"));
}

TEST_F(UndoStackTest, GoesOnAfterAFailureAndReportsIt) {
  {
    UndoStack undo_stack(report());
    undo_stack.on_failure("first", undo("first"));
    undo_stack.on_failure("second", [] { throw Error(ErrorCode::kKernel, "the link is busy"); });
    undo_stack.on_failure("third", undo("third"));
  }
  EXPECT_THAT(undone_, ElementsAre("third", "first"));
  EXPECT_THAT(reported_, ElementsAre("second: the link is busy"));
}

TEST_F(UndoStackTest, UndoesWhileAnExceptionPasses) {
  EXPECT_THROW(
      {
        UndoStack undo_stack(report());
        undo_stack.on_failure("first", undo("first"));
        throw Error(ErrorCode::kKernel, "the next step failed");
      },
      Error);
  EXPECT_THAT(undone_, ElementsAre("first"));
}

TEST_F(UndoStackTest, UndoesOnceOnly) {
  UndoStack undo_stack(report());
  undo_stack.on_failure("first", undo("first"));
  undo_stack.unwind();
  undo_stack.unwind();
  EXPECT_THAT(undone_, ElementsAre("first"));
}

}  // namespace
}  // namespace netctl
