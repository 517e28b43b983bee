#include "plugins/cni/delegate.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <ctime>

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "plugins/cni/json_text.hpp"
#include "plugins/cni/names.hpp"
#include "plugins/cni/signals_internal.hpp"

namespace netctl::cni {
namespace {

constexpr std::size_t kOutputLimitBytes = 16U << 20U;
// A plugin that is just being replaced cannot be run for a moment.
constexpr int kBusyAttempts = 50;
constexpr long kBusyPauseNs = 20'000'000;

[[noreturn]] void fail(const std::string& executable, const std::string& problem,
                       const std::string& details = {}) {
  throw Error(ErrorCode::kDelegate, "plugin " + executable + " " + problem, shortened(details, 1024));
}

/// With SIGCHLD ignored (runtimes may leave it so) the kernel would not keep the child's exit status for us.
class DefaultSigchld {
 public:
  DefaultSigchld() noexcept {
    struct sigaction by_default {};
    by_default.sa_handler = SIG_DFL;
    ::sigaction(SIGCHLD, &by_default, &before_);
  }
  DefaultSigchld(const DefaultSigchld&) = delete;
  DefaultSigchld& operator=(const DefaultSigchld&) = delete;
  ~DefaultSigchld() { ::sigaction(SIGCHLD, &before_, nullptr); }

 private:
  struct sigaction before_ {};
};

/// A started process; killed and reaped unless wait() was called.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid), pidfd_(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))) {}
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    wait();
  }

  [[nodiscard]] int pidfd() const noexcept { return pidfd_.get(); }
  /// The status as waitpid() gives it.
  int wait() noexcept {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return status;
  }

 private:
  pid_t pid_;
  UniqueFd pidfd_;
};

std::vector<std::string> environment_for(const DelegateCall& call) {
  std::string path;
  for (const auto& directory : call.path) path += (path.empty() ? "" : ":") + directory;
  std::vector<std::string> environment{"CNI_COMMAND=" + to_string(call.command),
                                       "CNI_CONTAINERID=" + call.container_id,
                                       "CNI_NETNS=" + call.netns,
                                       "CNI_IFNAME=" + call.ifname,
                                       "CNI_ARGS=" + call.args,
                                       "CNI_PATH=" + path};
  const std::size_t own_count = environment.size();
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view inherited = *entry;
    bool is_ours = false;
    for (std::size_t i = 0; i < own_count; ++i) {
      const auto name = std::string_view(environment[i]).substr(0, environment[i].find('=') + 1);
      is_ours = is_ours || inherited.substr(0, name.size()) == name;
    }
    if (!is_ours) environment.emplace_back(inherited);
  }
  return environment;
}

/// A file in memory: unlike a pipe it never fills up, whatever the plugin does with its stdin.
UniqueFd file_with(const std::string& text) {
  UniqueFd file(::memfd_create("cni-config", MFD_CLOEXEC));
  if (!file) throw_errno("cannot make the stdin of a plugin", errno, ErrorCode::kIo);
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t count = ::write(file.get(), text.data() + done, text.size() - done);
    if (count < 0 && errno != EINTR) throw_errno("cannot fill the stdin of a plugin", errno, ErrorCode::kIo);
    if (count > 0) done += static_cast<std::size_t>(count);
  }
  ::lseek(file.get(), 0, SEEK_SET);
  return file;
}

int spawn_once(const std::string& executable, char* const* environment, int stdin_fd, int stdout_fd,
               pid_t& pid) {
  posix_spawn_file_actions_t files{};
  posix_spawnattr_t attributes{};
  posix_spawn_file_actions_init(&files);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_adddup2(&files, stdin_fd, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&files, stdout_fd, STDOUT_FILENO);
  posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
  const sigset_t mask = mask_for_children();
  posix_spawnattr_setsigmask(&attributes, &mask);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  std::string name = executable;
  std::array<char*, 2> arguments{name.data(), nullptr};
  const int problem =
      ::posix_spawn(&pid, executable.c_str(), &files, &attributes, arguments.data(), environment);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  return problem;
}

pid_t spawn(const std::string& executable, const DelegateCall& call, int stdin_fd, int stdout_fd) {
  auto environment = environment_for(call);
  std::vector<char*> pointers;
  pointers.reserve(environment.size() + 1);
  for (auto& entry : environment) pointers.push_back(entry.data());
  pointers.push_back(nullptr);
  pid_t pid = -1;
  int problem = spawn_once(executable, pointers.data(), stdin_fd, stdout_fd, pid);
  for (int attempt = 1; problem == ETXTBSY && attempt < kBusyAttempts; ++attempt) {
    const timespec pause{0, kBusyPauseNs};
    ::nanosleep(&pause, nullptr);
    problem = spawn_once(executable, pointers.data(), stdin_fd, stdout_fd, pid);
  }
  if (problem != 0) fail(executable, "cannot be started: " + errno_text(problem), errno_text(problem));
  return pid;
}

/// Takes what is there. True at the end of the stream.
bool drain(int fd, std::string& output, const std::string& executable) {
  std::array<char, 64U << 10U> chunk;  // NOLINT(cppcoreguidelines-pro-type-member-init): read() fills it
  for (;;) {
    const ssize_t count = ::read(fd, chunk.data(), chunk.size());
    if (count == 0) return true;
    if (count < 0 && errno == EAGAIN) return false;
    if (count < 0 && errno != EINTR)
      throw_errno("cannot read what " + executable + " prints", errno, ErrorCode::kIo);
    if (count > 0) output.append(chunk.data(), static_cast<std::size_t>(count));
    if (output.size() > kOutputLimitBytes) fail(executable, "prints more than 16 MiB: it was killed");
  }
}

/// Until the end of the stream, or of the process: what it left running may hold the pipe open for ever.
std::string read_output(int fd, int pidfd, const std::string& executable) {
  std::string output;
  std::array<pollfd, 2> waiting{{{fd, POLLIN, 0}, {pidfd, POLLIN, 0}}};
  for (bool at_end = false; !at_end;) {
    if (::poll(waiting.data(), waiting.size(), -1) < 0)
      continue;  // EINTR; nothing else can come of valid descriptors
    const bool has_exited = waiting[1].revents != 0;
    at_end = drain(fd, output, executable) || has_exited;
  }
  return output;
}

std::string ending_of(int status) {
  if (WIFSIGNALED(status)) return "was killed by signal " + std::to_string(WTERMSIG(status));
  return "failed with exit status " + std::to_string(WEXITSTATUS(status));
}

/// Throws the error object that a failed plugin printed, as it is.
void pass_on_error(const std::string& output) {
  nlohmann::json object;
  try {
    object = parse_json(output, "an error object");
  } catch (const Error&) {
    return;
  }
  const auto code = object.is_object() ? object.find("code") : object.end();
  if (!object.is_object() || code == object.end() || !code->is_number_unsigned()) return;
  const auto number = code->get<std::uint64_t>();
  if (number == 0 || number > UINT32_MAX) return;
  const auto text_of = [&](const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  throw Error(static_cast<ErrorCode>(number), text_of("msg"), text_of("details"));
}

bool is_blank(const std::string& text) { return text.find_first_not_of(" \t\r\n") == std::string::npos; }

nlohmann::json answer_of(const std::string& executable, Command command, const std::string& output) {
  if (is_blank(output)) return nullptr;
  try {
    return parse_json(output, "what the plugin printed");
  } catch (const Error& error) {
    // The other commands have nothing to say; some plugins chat all the same.
    if (command != Command::kAdd && command != Command::kVersion) return nullptr;
    fail(executable, "printed something that is not JSON", error.details());
  }
}

bool is_executable_file(const std::string& directory, const std::string& name) {
  const UniqueFd folder(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!folder) return false;
  struct stat found {};
  return ::fstatat(folder.get(), name.c_str(), &found, 0) == 0 && S_ISREG(found.st_mode) &&
         ::faccessat(folder.get(), name.c_str(), X_OK, AT_EACCESS) == 0;
}

}  // namespace

void validate_plugin_name(const std::string& name, const std::string& path_in_config) {
  if (is_plain_file_name(name)) return;
  throw Error(ErrorCode::kInvalidConfig,
              path_in_config + ": must be the plain name of a plugin, without / or \\, at most 255 bytes",
              shortened(name));
}

std::string find_plugin(const std::string& name, const std::vector<std::string>& path) {
  validate_plugin_name(name, "type");
  std::string searched;
  for (const auto& directory : path) {
    if (is_executable_file(directory, name)) return directory + "/" + name;
    searched += (searched.empty() ? "" : ":") + directory;
  }
  if (path.empty()) {
    throw Error(ErrorCode::kInvalidEnvironment, "required env variables [CNI_PATH] missing",
                "it names the directories to look for plugin " + name);
  }
  throw Error(
      ErrorCode::kInvalidConfig,
      "there is no executable plugin " + name + " in " + searched + ": install it there or correct the type",
      "CNI_PATH=" + searched);
}

nlohmann::json run_plugin(const std::string& executable, const DelegateCall& call,
                          const nlohmann::json& config) {
  const UniqueFd input = file_with(to_text(config));
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0)
    throw_errno("cannot make the stdout of a plugin", errno, ErrorCode::kIo);
  const UniqueFd output_end(ends[0]);
  UniqueFd plugin_end(ends[1]);
  ::fcntl(output_end.get(), F_SETFL, O_NONBLOCK);
  const DefaultSigchld default_sigchld;
  Child child(spawn(executable, call, input.get(), plugin_end.get()));
  plugin_end.reset();
  const std::string output = read_output(output_end.get(), child.pidfd(), executable);
  const int status = child.wait();
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return answer_of(executable, call.command, output);
  pass_on_error(output);
  fail(executable, ending_of(status) + " and did not say why: see its own messages on stderr", output);
}

}  // namespace netctl::cni
