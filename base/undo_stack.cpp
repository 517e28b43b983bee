#include "base/undo_stack.hpp"

#include <exception>

namespace netctl {

void UndoStack::unwind() noexcept {
  while (!inverses_.empty()) {
    const Inverse inverse = std::move(inverses_.back());
    inverses_.pop_back();
    try {
      inverse.run();
    } catch (const std::exception& error) {
      report_(inverse.step, error.what());
    }
  }
}

}  // namespace netctl
