#pragma once
// What the tests of the protocol share: a call without a process, folders that vanish, and how a failure is caught.

#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <utility>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "plugins/cni/invocation.hpp"

namespace netctl::cni::test {

/// The Error that `body` throws; a failed expectation and an empty one when it throws none.
template <typename Body>
Error error_of(Body&& body) {
  try {
    std::forward<Body>(body)();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "nothing was thrown";
  return Error(ErrorCode::kInternal, "");
}

/// A call as a container runtime makes it, answered in process.
struct FakeCall {
  std::map<std::string, std::string> variables{{"CNI_COMMAND", "ADD"},
                                               {"CNI_CONTAINERID", "c1"},
                                               {"CNI_NETNS", "/run/netns/a"},
                                               {"CNI_IFNAME", "eth0"},
                                               {"CNI_PATH", "/opt/cni/bin"}};
  std::string input = R"({"cniVersion":"1.0.0","name":"net","type":"bridge"})";
  std::optional<int> stdout_errno;  ///< writing stdout fails with it
  std::string output, messages;

  Environment environment() {
    Environment environment;
    environment.variables = variables;
    environment.read_stdin = [this](std::size_t limit) {
      return input.size() > limit ? std::nullopt : std::optional(input);
    };
    environment.write_stdout = [this](const std::string& text) {
      if (stdout_errno) throw_errno("cannot print", *stdout_errno, ErrorCode::kIo);
      output += text;
    };
    environment.write_stderr = [this](const std::string& text) { messages += text; };
    return environment;
  }
  Invocation read() { return read_invocation(environment()); }
  void set_config(const nlohmann::json& config) { input = config.dump(); }
};

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "netctl-test-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw_errno("mkdtemp", errno);
    path_ = name;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

inline std::string read_file(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

inline void write_file(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

inline void write_script(const std::string& path, const std::string& body) {
  write_file(path, "#!/bin/sh\n" + body + "\n");
  std::filesystem::permissions(path, std::filesystem::perms::owner_all);
}

}  // namespace netctl::cni::test
