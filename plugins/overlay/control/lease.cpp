#include "plugins/overlay/control/lease.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/private_directory.hpp"
#include "base/unique_fd.hpp"

namespace netctl::overlay {
namespace {

using Json = nlohmann::json;

constexpr int kVersion = 1;
constexpr const char* kDigest = "digest";
constexpr const char* kProgrammed = "programmed";

std::string folder(const std::string& state_directory) { return state_directory + "/overlay"; }

std::vector<std::string> texts(const std::vector<IpPrefix>& prefixes) {
  std::vector<std::string> list;
  for (const IpPrefix& prefix : prefixes) list.push_back(prefix.to_string());
  return list;
}

[[noreturn]] void throw_malformed(const std::string& what) {
  throw Error(ErrorCode::kInvalidConfig, "no " + what);
}

IpAddress address(const Json& json) {
  const auto parsed = IpAddress::parse(json.get<std::string>());
  if (!parsed) throw_malformed("address");
  return *parsed;
}

std::vector<IpPrefix> prefixes(const Json& list) {
  std::vector<IpPrefix> parsed;
  for (const Json& item : list) {
    const auto prefix = IpPrefix::parse(item.get<std::string>());
    if (!prefix) throw_malformed("CIDR");
    parsed.push_back(*prefix);
  }
  return parsed;
}

Json to_json(const Node& node) {
  Json json{{"node", node.name}, {"vtep", node.vtep.to_string()}, {"blocks", texts(node.blocks)}};
  if (node.mtu_bytes) json["mtu"] = *node.mtu_bytes;
  return json;
}

Node node_from_json(const Json& json) {
  Node node;
  node.name = json.at("node").get<std::string>();
  node.vtep = address(json.at("vtep"));
  node.blocks = prefixes(json.at("blocks"));
  if (json.contains("mtu")) node.mtu_bytes = json.at("mtu").get<std::uint32_t>();
  return node;
}

Json to_json(const Lease& lease) {
  Json json{{"version", kVersion},
            {"network", lease.network},
            {"source", lease.source},
            {"configuration", lease.configuration},
            {"node", lease.node},
            {"mode", lease.mode == Mode::kL2 ? "l2" : "routed"},
            {"vni", lease.vni},
            {"port", lease.port},
            {"vtep", lease.vtep.to_string()},
            {"mtu", lease.mtu_bytes},
            {"subnets", texts(lease.subnets)},
            {"blocks", texts(lease.blocks)},
            {"encrypted", lease.encrypted},
            {"revision", lease.revision},
            {"confirmedAt", lease.confirmed_wall_seconds}};
  if (lease.expiry) {
    json["expiry"] = {{"bootId", lease.expiry->boot_id}, {"boottime", lease.expiry->boot_nanoseconds}};
  }
  if (!lease.fenced.empty()) json["fenced"] = lease.fenced;
  return json;
}

Lease lease_from_json(const Json& json) {
  if (json.at("version").get<int>() != kVersion) throw_malformed("version that is known here");
  Lease lease;
  lease.network = json.at("network").get<std::string>();
  lease.source = json.at("source").get<std::string>();
  lease.configuration = json.at("configuration").get<std::string>();
  lease.node = json.at("node").get<std::string>();
  lease.mode = json.at("mode").get<std::string>() == "l2" ? Mode::kL2 : Mode::kRouted;
  lease.vni = json.at("vni").get<std::uint32_t>();
  lease.port = json.at("port").get<std::uint16_t>();
  lease.vtep = address(json.at("vtep"));
  lease.mtu_bytes = json.at("mtu").get<std::uint32_t>();
  lease.subnets = prefixes(json.at("subnets"));
  lease.blocks = prefixes(json.at("blocks"));
  lease.encrypted = json.at("encrypted").get<bool>();
  lease.revision = json.at("revision").get<std::uint64_t>();
  lease.confirmed_wall_seconds = json.at("confirmedAt").get<std::int64_t>();
  if (json.contains("expiry")) {
    lease.expiry = {json.at("expiry").at("bootId").get<std::string>(),
                    json.at("expiry").at("boottime").get<std::int64_t>()};
  }
  lease.fenced = json.value("fenced", "");
  return lease;
}

/// What the kernel's entries are made of; not what changes with every confirmation.
std::string digest_of_programme(const Lease& lease, const std::string& nodes) {
  Json json = to_json(lease);
  for (const char* key : {"revision", "confirmedAt", "expiry", "fenced", "source", "configuration"})
    json.erase(key);
  return hash_parts({"overlay", json.dump(), nodes}).hex();
}

std::string nodes_text(const std::vector<Node>& nodes) {
  Json list = Json::array();
  for (const Node& node : nodes) list.push_back(to_json(node));
  return list.dump();
}

void sort_by_name(std::vector<Node>& nodes) {
  std::sort(nodes.begin(), nodes.end(), [](const Node& a, const Node& b) { return a.name < b.name; });
}

/// The digest is over the line without it.
std::string signed_line(Json json) {
  json[kDigest] = hash_parts({"lease", json.dump()}).hex();
  return json.dump() + "\n";
}

[[noreturn]] void throw_damaged(const std::string& path, const std::string& why) {
  throw Error(ErrorCode::kTryAgainLater,
              "the lease file " + path +
                  " is damaged; the agent, or `netctl repair`, writes it anew: start the agent, or try again",
              why);
}

Json parse_line(const std::string& path, const std::string& line) {
  Json json = Json::parse(line, nullptr, false);
  if (json.is_discarded() || !json.is_object() || !json.contains(kDigest)) {
    throw_damaged(path, "a line is no JSON object with a digest");
  }
  const Json digest = json.at(kDigest);
  json.erase(kDigest);
  if (digest != hash_parts({"lease", json.dump()}).hex()) throw_damaged(path, "the digest does not fit");
  return json;
}

/// Up to the first line feed, or all; nullopt when there is no file.
std::optional<std::string> read_text(const std::string& path, bool all) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) {
    if (errno == ENOENT) return std::nullopt;
    throw_errno("open " + path, errno, ErrorCode::kIo);
  }
  std::string text;
  std::array<char, 16384> piece{};
  while (true) {
    const ssize_t size = ::read(fd.get(), piece.data(), piece.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) throw_errno("read " + path, errno, ErrorCode::kIo);
    if (size == 0) return text;
    const std::size_t before = text.size();
    text.append(piece.data(), static_cast<std::size_t>(size));
    const std::size_t end = text.find('\n', before);
    if (!all && end != std::string::npos) return text.substr(0, end);
  }
}

void write_all(const UniqueFd& fd, const std::string& path, const std::string& text) {
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t size = ::write(fd.get(), text.data() + done, text.size() - done);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) throw_errno("write " + path, errno, ErrorCode::kIo);
    done += static_cast<std::size_t>(size);
  }
}

void replace_file(const std::string& path, const std::string& text) {
  std::string unfinished = path + ".XXXXXX";
  const UniqueFd fd(::mkostemp(unfinished.data(), O_CLOEXEC));
  if (!fd) throw_errno("make " + unfinished, errno, ErrorCode::kIo);
  try {
    write_all(fd, unfinished, text);
    if (::fsync(fd.get()) != 0) throw_errno("write " + unfinished, errno, ErrorCode::kIo);
    if (::rename(unfinished.c_str(), path.c_str()) != 0) throw_errno("make " + path, errno, ErrorCode::kIo);
  } catch (const Error&) {
    ::unlink(unfinished.c_str());
    throw;
  }
}

LeaseHead head_from_line(const std::string& path, const std::string& line) {
  const Json json = parse_line(path, line);
  try {
    return {lease_from_json(json), json.at(kProgrammed).get<std::string>()};
  } catch (const std::exception& error) {
    throw_damaged(path, error.what());
  }
}

}  // namespace

std::string lease_path(const std::string& state_directory, const std::string& network) {
  return folder(state_directory) + "/" + network + ".lease.json";
}

Membership make_membership(const Lease& lease, std::vector<Node> nodes) {
  sort_by_name(nodes);
  std::string digest = digest_of_programme(lease, nodes_text(nodes));
  return {lease, std::move(nodes), std::move(digest)};
}

bool write_lease(const std::string& state_directory, const Lease& lease, std::vector<Node> nodes) {
  sort_by_name(nodes);
  const std::string list = nodes_text(nodes);
  const std::string digest = digest_of_programme(lease, list);
  std::string before;
  try {
    const auto head = read_lease_head(state_directory, lease.network);
    if (head) before = head->digest;
  } catch (const Error&) {
    before.clear();  // what is damaged is replaced
  }
  Json head = to_json(lease);
  head[kProgrammed] = digest;
  make_private_directory(state_directory, "the state directory");
  make_private_directory(folder(state_directory), "the folder of leases");
  replace_file(lease_path(state_directory, lease.network),
               signed_line(std::move(head)) + signed_line({{"nodes", Json::parse(list)}}));
  return digest != before;
}

std::optional<LeaseHead> read_lease_head(const std::string& state_directory, const std::string& network) {
  const std::string path = lease_path(state_directory, network);
  const std::optional<std::string> line = read_text(path, false);
  if (!line) return std::nullopt;
  LeaseHead head = head_from_line(path, *line);
  if (head.lease.network != network) throw_damaged(path, "it is of the network " + head.lease.network);
  return head;
}

std::optional<Lease> read_lease(const std::string& state_directory, const std::string& network) {
  std::optional<LeaseHead> head = read_lease_head(state_directory, network);
  if (!head) return std::nullopt;
  return std::move(head->lease);
}

std::optional<Membership> read_membership(const std::string& state_directory, const std::string& network) {
  const std::string path = lease_path(state_directory, network);
  const std::optional<std::string> text = read_text(path, true);
  if (!text) return std::nullopt;
  const std::size_t end = text->find('\n');
  if (end == std::string::npos) throw_damaged(path, "it has no second line");
  LeaseHead head = head_from_line(path, text->substr(0, end));
  if (head.lease.network != network) throw_damaged(path, "it is of the network " + head.lease.network);
  const Json second = parse_line(path, text->substr(end + 1));
  Membership membership;
  try {
    for (const Json& node : second.at("nodes")) membership.nodes.push_back(node_from_json(node));
  } catch (const std::exception& error) {
    throw_damaged(path, error.what());
  }
  membership.lease = std::move(head.lease);
  membership.digest = digest_of_programme(membership.lease, nodes_text(membership.nodes));
  if (membership.digest != head.digest) throw_damaged(path, "the lines do not belong together");
  return membership;
}

void remove_lease(const std::string& state_directory, const std::string& network) {
  const std::string path = lease_path(state_directory, network);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) throw_errno("remove " + path, errno, ErrorCode::kIo);
  ::rmdir(folder(state_directory).c_str());  // fails while others are in it
}

std::optional<std::string> refusal(const Lease& lease, const std::string& boot_id,
                                   std::int64_t boot_nanoseconds) {
  const std::string whose = "network " + lease.network;
  if (!lease.fenced.empty()) return whose + " takes no container now: " + lease.fenced;
  if (lease.blocks.empty()) {
    return whose + " has no block for node " + lease.node +
           " yet; the agent claims one: see `netctl overlay status`";
  }
  if (!lease.expiry) return std::nullopt;
  if (lease.expiry->boot_id != boot_id) {
    return whose +
           ": the lease was not confirmed since this host started; start netctl-agent, or wait for it";
  }
  if (lease.expiry->boot_nanoseconds <= boot_nanoseconds) {
    return whose +
           ": the lease was not confirmed for too long, another node may have its blocks by now; see why "
           "netctl-agent does not reach its source (`netctl overlay status`)";
  }
  return std::nullopt;
}

std::string read_boot_id() {
  std::optional<std::string> text = read_text("/proc/sys/kernel/random/boot_id", false);
  if (!text || text->empty()) throw Error(ErrorCode::kIo, "the kernel tells no boot_id; is /proc mounted?");
  return *text;
}

}  // namespace netctl::overlay
