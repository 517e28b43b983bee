// The process around a call: its descriptors, its environment.

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "plugins/cni/plugin.hpp"
#include "plugins/cni/program.hpp"
#include "plugins/cni/signals_internal.hpp"

namespace netctl::cni {
namespace {

constexpr int kForever = -1;
constexpr int kVersionPatienceMs = 100;
constexpr std::size_t kFirstChunkBytes = 16U << 10U;

// With one of 0, 1, 2 closed, the next file that is opened (the store!) would become stdin, stdout or stderr. The
// stand-ins fail as a closed descriptor does: reading 0 and writing 1 give EBADF.
void hold_standard_descriptors() noexcept {
  constexpr int kModes[] = {O_WRONLY, O_RDONLY, O_WRONLY};
  for (int fd = 0; fd <= STDERR_FILENO; ++fd) {
    if (::fcntl(fd, F_GETFD) < 0 && errno == EBADF) {
      const int stand_in = ::open("/dev/null", kModes[fd]);
      static_cast<void>(stand_in);  // has number `fd`, the lowest free one; stays open
    }
  }
}

std::map<std::string, std::string> cni_variables() {
  std::map<std::string, std::string> variables;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::size_t equals = text.find('=');
    if (text.substr(0, 4) != "CNI_" || equals == std::string_view::npos) continue;
    variables.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return variables;
}

/// False when nothing came within `patience_ms`.
bool wait_for(int fd, short events, int patience_ms) {
  pollfd waiting{fd, events, 0};
  int ready = 0;
  do {
    ready = ::poll(&waiting, 1, patience_ms);
  } while (ready < 0 && errno == EINTR);
  return ready > 0;
}

/// Until the end of the file, or until nothing comes for `patience_ms`. nullopt when there is more than `limit`.
std::optional<std::string> read_all(int fd, std::size_t limit, int patience_ms) {
  std::string text;
  std::size_t size = 0;
  while (size <= limit) {
    if (patience_ms != kForever && !wait_for(fd, POLLIN, patience_ms)) break;
    if (size == text.size()) text.resize(std::min(limit + 1, std::max(kFirstChunkBytes, text.size() * 2)));
    const ssize_t count = ::read(fd, text.data() + size, text.size() - size);
    if (count == 0) break;
    if (count > 0) {
      size += static_cast<std::size_t>(count);
    } else if (errno == EAGAIN) {
      wait_for(fd, POLLIN, patience_ms);
    } else if (errno != EINTR) {
      throw_errno("cannot read stdin", errno, ErrorCode::kIo);
    }
  }
  if (size > limit) return std::nullopt;
  text.resize(size);
  return text;
}

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(fd, text.data(), text.size());
    if (count >= 0) {
      text.remove_prefix(static_cast<std::size_t>(count));
    } else if (errno == EAGAIN) {
      wait_for(fd, POLLOUT, kForever);
    } else if (errno != EINTR) {
      throw_errno("cannot print the answer to stdout", errno, ErrorCode::kIo);
    }
  }
}

Environment environment_of_process() {
  Environment environment;
  environment.variables = cni_variables();
  const auto command = environment.variables.find("CNI_COMMAND");
  // VERSION needs nothing from stdin, and people and some runtimes leave it open.
  const bool asks_version = command != environment.variables.end() && command->second == "VERSION";
  environment.read_stdin = [asks_version](std::size_t limit) -> std::optional<std::string> {
    if (asks_version && ::isatty(STDIN_FILENO) == 1) return "";
    return read_all(STDIN_FILENO, limit, asks_version ? kVersionPatienceMs : kForever);
  };
  environment.write_stdout = [](const std::string& text) {
    note_stdout_is_used();
    write_all(STDOUT_FILENO, text);
  };
  environment.write_stderr = [](const std::string& text) { write_all(STDERR_FILENO, text); };
  return environment;
}

}  // namespace

void prepare_program() noexcept {
  hold_standard_descriptors();
  block_signals_for_good();
}

std::optional<std::string> read_standard_input(std::size_t limit) {
  return read_all(STDIN_FILENO, limit, kForever);
}

void print_to_standard_output(const std::string& text) { write_all(STDOUT_FILENO, text); }

int run_process(const Plugin& plugin, int argc, char** argv) noexcept {
  hold_standard_descriptors();
  answer_crashes();
  // A signal that came meanwhile must not turn a printed result into a failure.
  block_signals_for_good();
  const std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
  return run(plugin, environment_of_process(), arguments);
}

}  // namespace netctl::cni
