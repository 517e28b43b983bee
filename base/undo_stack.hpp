#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace netctl {

/// Inverses of the steps that were done, run in reverse order unless commit() was called. A failing inverse does not
/// stop the others; its reason goes to `report`.
class UndoStack {
 public:
  using Report = std::function<void(const std::string& step, const std::string& reason)>;

  explicit UndoStack(Report report) : report_(std::move(report)) {}
  UndoStack(const UndoStack&) = delete;
  UndoStack& operator=(const UndoStack&) = delete;
  ~UndoStack() { unwind(); }

  /// To be called right after the step succeeded (or right before, when the inverse tolerates that nothing was done).
  void on_failure(std::string step, std::function<void()> inverse) {
    inverses_.push_back({std::move(step), std::move(inverse)});
  }
  void commit() noexcept { inverses_.clear(); }
  void unwind() noexcept;

 private:
  struct Inverse {
    std::string step;
    std::function<void()> run;
  };
  Report report_;
  std::vector<Inverse> inverses_;
};

}  // namespace netctl
