#include "plugins/tuning/sysctl_allowlist.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <regex>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "plugins/cni/json_text.hpp"

namespace netctl::tuning {
namespace {

constexpr std::size_t kLongestKey = 256;

// Whole folders whose writable files belong to one namespace, but for what is named below.
constexpr std::array<std::string_view, 4> kFolders{"ipv4/", "ipv6/", "mptcp/", "sctp/"};
constexpr std::array<std::string_view, 4> kSingleKeys{"core/somaxconn", "core/optmem_max", "core/txrehash",
                                                      "unix/max_dgram_qlen"};
constexpr std::string_view kConntrack = "netfilter/nf_conntrack_";
// Of the whole machine, whichever namespace they are written from; or commands rather than settings. Beginnings of paths.
constexpr std::array<std::string_view, 22> kShared{
    "ipv4/neigh/default/gc_",
    "ipv6/neigh/default/gc_",
    "ipv4/route/flush",
    "ipv6/route/flush",
    "ipv4/route/gc_",
    "ipv4/route/max_size",
    "ipv4/route/error_",
    "ipv4/route/redirect_",
    "ipv4/tcp_mem",
    "ipv4/udp_mem",
    "ipv4/tcp_max_orphans",
    "ipv4/tcp_low_latency",
    "ipv4/tcp_allowed_congestion_control",
    "ipv4/tcp_available_",
    "ipv4/inet_peer_",
    "ipv4/ipfrag_secret_interval",
    "ipv4/cipso_",
    "ipv6/calipso_",
    "ipv6/mld_max_msf",
    "ipv6/ip6frag_secret_interval",
    "mptcp/available_",
    "sctp/sctp_mem",
};
constexpr std::array<std::string_view, 5> kSharedConntrack{"max", "buckets", "expect_max", "count", "helper"};

template <class List>
bool begins_with_one_of(std::string_view text, const List& beginnings) {
  return std::any_of(beginnings.begin(), beginnings.end(), [text](std::string_view beginning) {
    return text.substr(0, beginning.size()) == beginning;
  });
}

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
         c == '.' || c == '@';
}

[[noreturn]] void refuse_key(const std::string& key, const std::string& why) {
  throw Error(ErrorCode::kInvalidConfig,
              "sysctl: invalid net sysctl key: \"" + cni::shortened(key) + "\": " + why, cni::shortened(key));
}

/// nullopt: there is no such file.
std::optional<std::vector<std::string>> read_lines(const std::string& file) {
  errno = 0;
  std::ifstream stream(file);
  if (!stream) {
    const int sys_errno = errno;
    if (sys_errno == ENOENT || sys_errno == ENOTDIR) return std::nullopt;
    throw Error(ErrorCode::kIo, "the list of allowed sysctls " + file + " cannot be read; mend or remove it",
                errno_text(sys_errno), sys_errno);
  }
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ' || line.back() == '\t'))
      line.pop_back();
    if (!line.empty()) lines.push_back(line);
  }
  if (stream.bad()) {
    throw Error(ErrorCode::kIo, "the list of allowed sysctls " + file + " cannot be read; mend or remove it");
  }
  return lines;
}

bool matches(const std::string& key, const std::string& expression, const std::string& file) {
  try {
    return std::regex_search(key, std::regex(expression));
  } catch (const std::regex_error& error) {
    throw Error(
        ErrorCode::kIo,
        file + " holds \"" + cni::shortened(expression) + "\", which is no regular expression; mend it",
        error.what());
  }
}

}  // namespace

std::string sysctl_path(const std::string& key) {
  if (key.empty() || key.size() > kLongestKey) refuse_key(key, "it must have 1 to 256 characters");
  const std::size_t first = key.find_first_of("./");
  const char separator = first == std::string::npos ? '.' : key[first];
  std::string path;
  for (const char c : key) {
    if (!is_name_character(c) && c != '/') refuse_key(key, "a character is no part of any sysctl's name");
    const bool separates = c == separator;
    path += separates ? '/' : (c == '/' ? '.' : c);
  }
  constexpr std::string_view kRoot = "net/";
  if (path.substr(0, kRoot.size()) != kRoot) refuse_key(key, "only what begins with net. can be set");
  path.erase(0, kRoot.size());
  const std::string framed = "/" + path + "/";
  for (const char* hole : {"//", "/./", "/../"}) {
    if (framed.find(hole) != std::string::npos) refuse_key(key, "a part of it is empty, \".\" or \"..\"");
  }
  return path;
}

bool is_allowed_by_default(const std::string& path) {
  if (begins_with_one_of(path, kShared)) return false;
  if (std::find(kSingleKeys.begin(), kSingleKeys.end(), path) != kSingleKeys.end()) return true;
  if (path.rfind(kConntrack, 0) == 0) {
    return !begins_with_one_of(std::string_view(path).substr(kConntrack.size()), kSharedConntrack);
  }
  return begins_with_one_of(path, kFolders);
}

void require_allowed(const std::string& key, const std::string& file) {
  const auto expressions = read_lines(file);
  if (!expressions) {
    if (is_allowed_by_default(sysctl_path(key))) return;
    throw Error(ErrorCode::kInvalidConfig,
                "Sysctl " + key +
                    " is not allowed: it is not known to belong to one network namespace alone; " +
                    "list it in " + file + " (then only what is listed there is allowed)",
                key);
  }
  const bool allowed =
      std::any_of(expressions->begin(), expressions->end(),
                  [&](const std::string& expression) { return matches(key, expression, file); });
  if (allowed) return;
  std::string list;
  for (const std::string& expression : *expressions) list += (list.empty() ? "" : " ") + expression;
  throw Error(ErrorCode::kInvalidConfig,
              "Sysctl " + key + " is not allowed. Only the following sysctls are allowed: [" +
                  cni::shortened(list, 1000) + "]; see " + file,
              key);
}

}  // namespace netctl::tuning
