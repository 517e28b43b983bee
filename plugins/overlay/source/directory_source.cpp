// A directory that all nodes share (NFS, a mounted volume) as a source.
//
//   PATH/NETWORK/config          what all nodes agree on
//   PATH/NETWORK/block-NUMBER    8 hex digits: the record of the node that owns it
//   PATH/NETWORK/alive-NAME      touched by the node's agent: its time of change says when it was heard of
//   PATH/NETWORK/lock            held while a block is taken from a node
//
// link(2) of a finished file is the compare-and-swap: it fails when the name exists, on NFS as well. No other machine's
// changes can be waited for there, so it is looked at every second. Ages are differences of the file server's times alone.

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <ctime>

#include "base/error.hpp"
#include "base/file_lock.hpp"
#include "base/hash.hpp"
#include "base/unique_fd.hpp"
#include "plugins/cni/config_reader.hpp"
#include "plugins/cni/names.hpp"
#include "plugins/overlay/source/peer_source.hpp"

namespace netctl::overlay {
namespace {

using namespace std::chrono_literals;

constexpr auto kInterval = 1s;
constexpr std::int64_t kAliveSeconds = 30;
constexpr auto kLockPatience = 2000ms;

struct File {
  std::string text;
  std::int64_t changed_seconds = 0;
};

std::optional<File> read_file(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd && errno == ENOENT) return std::nullopt;
  struct stat status {};
  if (!fd || ::fstat(fd.get(), &status) != 0) throw_errno("open " + path, errno, ErrorCode::kIo);
  File file{{}, status.st_mtim.tv_sec};
  std::array<char, 4096> piece{};
  while (file.text.size() < 65536) {
    const ssize_t size = ::read(fd.get(), piece.data(), piece.size());
    if (size < 0) throw_errno("read " + path, errno, ErrorCode::kIo);
    if (size == 0) break;
    file.text.append(piece.data(), static_cast<std::size_t>(size));
  }
  return file;
}

class DirectorySource : public PeerSource {
 public:
  DirectorySource(Application application, const std::string& path)
      : application_(std::move(application)),
        plan_(application_.config),
        root_(path),
        folder_(path + "/" + application_.config.network) {}

  [[nodiscard]] int fd() const override { return -1; }
  [[nodiscard]] Clock::time_point deadline() const override { return next_; }
  void drive() override {
    if (Clock::now() >= next_) refresh();
  }
  void refresh() override {
    next_ = Clock::now() + kInterval;
    try {
      look();
    } catch (const Error& error) {
      ++view_.failures;
      say(view_.trouble, error.message());
    }
  }
  void remove_node(const std::string& name, Answer answer) override;

 private:
  struct Block {
    NodeRecord record;
    std::string text;
  };
  void look();
  void agree();
  void read_blocks();
  void claim();
  void adopt(std::uint32_t number, const Block& own);
  void confirm(std::uint32_t number);
  void publish();
  [[nodiscard]] bool is_alive(const std::string& name) const;
  /// False: there is one already.
  bool create(const std::string& name, const std::string& text) const;
  void replace(const std::string& name, const std::string& text) const;
  [[nodiscard]] std::string unfinished(const std::string& text) const;
  [[nodiscard]] std::string block_name(std::uint32_t number) const {
    std::array<char, 32> name{};
    std::snprintf(name.data(), name.size(), "block-%08x", number);
    return name.data();
  }
  [[nodiscard]] std::string alive_text() const {
    return application_.self.identity + " " + application_.self.node.vtep.to_string();
  }
  [[nodiscard]] NodeRecord own_record(std::uint32_t number) const {
    NodeRecord record = application_.self;
    record.node.blocks = plan_.blocks(number);
    return record;
  }
  void say(std::string& where, const std::string& sentence) {
    if (where == sentence) return;
    where = sentence;
    ++view_.generation;
  }

  Application application_;
  BlockPlan plan_;
  std::string root_, folder_;
  Clock::time_point next_ = Clock::now();
  std::int64_t now_seconds_ = 0;  ///< the file server's
  std::map<std::uint32_t, Block> blocks_;
  std::map<std::uint32_t, std::string> unreadable_;
};

std::string DirectorySource::unfinished(const std::string& text) const {
  std::string path = folder_ + "/.new-XXXXXX";
  const UniqueFd fd(::mkostemp(path.data(), O_CLOEXEC));
  if (!fd) throw_errno("make a file in " + folder_, errno, ErrorCode::kIo);
  const bool whole = ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
  if (!whole || ::fsync(fd.get()) != 0) {
    const int reason = errno;
    ::unlink(path.c_str());
    throw_errno("write " + path, reason, ErrorCode::kIo);
  }
  return path;
}

bool DirectorySource::create(const std::string& name, const std::string& text) const {
  const std::string made = unfinished(text);
  const bool linked = ::link(made.c_str(), (folder_ + "/" + name).c_str()) == 0;
  const int reason = errno;
  // Over NFS the answer to a link that was made may get lost: the number of links tells.
  struct stat status {};
  const bool twice = ::stat(made.c_str(), &status) == 0 && status.st_nlink == 2;
  ::unlink(made.c_str());
  if (!linked && !twice && reason != EEXIST)
    throw_errno("make " + folder_ + "/" + name, reason, ErrorCode::kIo);
  return linked || twice;
}

void DirectorySource::replace(const std::string& name, const std::string& text) const {
  const std::string made = unfinished(text);
  if (::rename(made.c_str(), (folder_ + "/" + name).c_str()) == 0) return;
  const int reason = errno;
  ::unlink(made.c_str());
  throw_errno("make " + folder_ + "/" + name, reason, ErrorCode::kIo);
}

void DirectorySource::agree() {
  struct stat status {};
  if (::stat(root_.c_str(), &status) != 0) throw_errno("look at " + root_, errno, ErrorCode::kIo);
  constexpr mode_t kFolderMode = 0700;
  if (::mkdir(folder_.c_str(), kFolderMode) != 0 && errno != EEXIST)
    throw_errno("make " + folder_, errno, ErrorCode::kIo);
  std::optional<File> config = read_file(folder_ + "/config");
  if (!config) {
    create("config", agreement(application_.config));
    config = read_file(folder_ + "/config");
  }
  if (config && config->text == agreement(application_.config)) return;
  throw Error(ErrorCode::kInvalidConfig,
              "the nodes of network " + application_.config.network + " agreed on " +
                  (config ? config->text : "nothing") + ", but this node's configuration says " +
                  agreement(application_.config) + "; make it the same, or use another network name");
}

void DirectorySource::read_blocks() {
  DIR* directory = ::opendir(folder_.c_str());
  if (directory == nullptr) throw_errno("list " + folder_, errno, ErrorCode::kIo);
  std::map<std::uint32_t, Block> found;
  unreadable_.clear();
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(directory)) names.emplace_back(entry->d_name);
  const int reason = errno;
  ::closedir(directory);
  if (reason != 0) throw_errno("list " + folder_, reason, ErrorCode::kIo);
  for (const std::string& name : names) {
    if (!name.starts_with("block-")) continue;
    const auto number = static_cast<std::uint32_t>(std::strtoul(name.c_str() + 6, nullptr, 16));
    if (name != block_name(number) || number >= plan_.count()) continue;
    try {
      const auto file = read_file(folder_ + "/" + name);
      if (!file) continue;
      Block block{parse_record(file->text, "the file " + folder_ + "/" + name), file->text};
      if (block.record.node.blocks != plan_.blocks(number))
        throw Error(ErrorCode::kDecode, "the file " + name + " has other blocks than its number stands for");
      found[number] = std::move(block);
    } catch (const Error& error) {
      unreadable_[number] = error.message();
      if (const auto known = blocks_.find(number); known != blocks_.end()) found.insert(*known);
    }
  }
  blocks_ = std::move(found);
}

bool DirectorySource::is_alive(const std::string& name) const {
  const auto file = read_file(folder_ + "/alive-" + name);
  return file && now_seconds_ - file->changed_seconds < kAliveSeconds;
}

void DirectorySource::look() {
  agree();
  const std::string mark = "clock-" + application_.self.node.name;
  replace(mark, "");
  const auto clock = read_file(folder_ + "/" + mark);
  now_seconds_ = clock ? clock->changed_seconds : ::time(nullptr);
  read_blocks();
  ++view_.lists;
  publish();
  const std::string& name = application_.self.node.name;
  const auto alive = read_file(folder_ + "/alive-" + name);
  if (alive && alive->text != alive_text() && now_seconds_ - alive->changed_seconds < kAliveSeconds) {
    const std::string sentence = "another machine takes part as node " + name + " (" + alive->text +
                                 "); give one of them another name by the key node";
    if (!view_.blocks.empty()) say(view_.fenced, sentence);
    say(view_.trouble, sentence);
    return;
  }
  for (const auto& [number, block] : blocks_) {
    if (block.record.node.name != name) continue;
    adopt(number, block);
    return;
  }
  claim();
}

void DirectorySource::adopt(std::uint32_t number, const Block& own) {
  const std::string& name = application_.self.node.name;
  if (own.record.identity != application_.self.identity) {
    const std::string sentence =
        "node " + name + " is another machine (VTEP " + own.record.node.vtep.to_string() +
        "); choose another name by the key node, or run `netctl node rm " + name + "`";
    if (!view_.blocks.empty()) say(view_.fenced, sentence);
    say(view_.trouble, sentence);
    return;
  }
  if (own.record != own_record(number)) {
    const LockFile lock(folder_ + "/lock");
    const HeldLock held = lock.lock(0, LockMode::kExclusive, kLockPatience, "the shared directory");
    const auto file = read_file(folder_ + "/" + block_name(number));
    if (!file || file->text != own.text) return;  // taken away meanwhile: the next look sees it
    replace(block_name(number), to_text(own_record(number)));
    read_blocks();
    publish();
  }
  replace("alive-" + name, alive_text());
  confirm(number);
}

void DirectorySource::claim() {
  auto wanted = static_cast<std::uint32_t>(choice_of(application_.self.node.name, 0) % plan_.count());
  if (const auto former = plan_.number_of(application_.former_blocks)) {
    const auto taken = blocks_.find(*former);
    if (taken != blocks_.end() && !application_.may_move()) {
      say(view_.fenced, "the blocks of this node belong to node " + taken->second.record.node.name +
                            " now, and containers still have addresses of them; remove these containers, "
                            "then other blocks are claimed");
      return;
    }
    if (taken == blocks_.end()) {
      wanted = *former;
    } else {
      application_.former_blocks.clear();
      view_.blocks.clear();
      view_.owns_nothing = true;
      ++view_.generation;
    }
  }
  replace("alive-" + application_.self.node.name, alive_text());
  for (std::uint32_t step = 0; step < plan_.count(); ++step) {
    const auto number = static_cast<std::uint32_t>((std::uint64_t{wanted} + step) % plan_.count());
    if (blocks_.contains(number) || unreadable_.contains(number)) continue;
    if (!create(block_name(number), to_text(own_record(number)))) continue;
    read_blocks();
    publish();
    confirm(number);
    return;
  }
  say(view_.trouble,
      "all " + std::to_string(plan_.count()) + " blocks of network " + application_.config.network +
          " are taken; remove nodes that are gone for good (`netctl node ls`, `netctl node rm`)");
}

void DirectorySource::confirm(std::uint32_t number) {
  view_.confirmed_wall_seconds = ::time(nullptr);
  say(view_.trouble, "");
  say(view_.fenced, "");
  if (view_.blocks == plan_.blocks(number)) return;
  view_.blocks = plan_.blocks(number);
  view_.owns_nothing = false;
  application_.former_blocks = view_.blocks;
  ++view_.generation;
}

void DirectorySource::publish() {
  std::map<std::string, Peer> peers;
  std::map<IpAddress, std::string> vteps;
  std::vector<std::string> rejected;
  for (const auto& [number, why] : unreadable_) rejected.push_back(why);
  for (const auto& [number, block] : blocks_) {
    const Node& node = block.record.node;
    const bool fits = node.vtep.family() == application_.self.node.vtep.family();
    if (!fits || peers.contains(node.name) || !vteps.emplace(node.vtep, node.name).second) {
      rejected.push_back(
          "node " + node.name + " with VTEP " + node.vtep.to_string() +
          " is left out: another node has the same name or VTEP, or it is of the other IP version");
      continue;
    }
    peers[node.name] = {node, block.record.identity, is_alive(node.name)};
  }
  if (peers == view_.peers && rejected == view_.rejected) return;
  view_.peers = std::move(peers);
  view_.rejected = std::move(rejected);
  ++view_.revision;
  ++view_.generation;
}

void DirectorySource::remove_node(const std::string& name, Answer answer) {
  try {
    look();
    const LockFile lock(folder_ + "/lock");
    HeldLock held = lock.lock(0, LockMode::kExclusive, kLockPatience, "the shared directory");
    read_blocks();
    if (is_alive(name)) {
      answer("node " + name + " is alive: stop its agent, wait half a minute, and try again");
      return;
    }
    for (const auto& [number, block] : blocks_) {
      if (block.record.node.name != name) continue;
      const std::string path = folder_ + "/" + block_name(number);
      const auto file = read_file(path);
      if (!file || file->text != block.text) continue;
      if (::unlink(path.c_str()) != 0) throw_errno("remove " + path, errno, ErrorCode::kIo);
      ::unlink((folder_ + "/alive-" + name).c_str());
      held.release();
      refresh();
      answer("");
      return;
    }
    answer("network " + application_.config.network + " has no node " + name + "; see `netctl node ls`");
  } catch (const Error& error) {
    answer(error.message());
  }
}

}  // namespace

std::unique_ptr<PeerSource> make_directory_source(Application application) {
  const cni::ConfigReader source(application.config.source_options, "source");
  const auto unknown = source.unknown_keys({"path"});
  if (!unknown.empty()) {
    throw Error(
        ErrorCode::kUnsupportedField,
        "the key source." + unknown.front() + " is not known to the source dir; see README for the keys",
        unknown.front());
  }
  const std::string path = source.text("path").value_or("");
  if (!path.starts_with('/')) source.complain("path", "is needed: the shared directory, an absolute path");
  return std::make_unique<DirectorySource>(std::move(application), path);
}

}  // namespace netctl::overlay
