#pragma once
// Where nodes meet: a source gives this node blocks that nobody else has, and tells who the others are.
//
// A source is a small machine inside the agent's one loop: it never blocks, wakes by a descriptor and by deadlines, and
// keeps its knowledge in a View. What it once knew stays true until the source itself says otherwise: that it cannot be
// reached, or answers with nonsense, is trouble, but no news about peers.

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "plugins/overlay/source/record.hpp"

namespace netctl::overlay {

using Clock = std::chrono::steady_clock;

struct Peer {
  Node node;
  std::string identity;
  bool alive = false;  ///< its agent was heard of lately; a peer that is not keeps its entries

  bool operator==(const Peer&) const = default;
};

struct View {
  std::map<std::string, Peer> peers;  ///< by name, with this node once it has blocks
  std::vector<IpPrefix>
      blocks;  ///< this node's own, confirmed at the source; stays while it cannot be reached
  bool owns_nothing =
      false;  ///< the source says that its former blocks are gone, and no container has addresses of them
  std::uint64_t revision = 0;  ///< of what `peers` were read from
  std::string
      trouble;  ///< a sentence: what keeps this node from being in touch with its source; empty: nothing
  std::string
      fenced;  ///< a sentence: why its blocks are not this node's any more; empty: they are, or it never had any
  std::vector<std::string> rejected;  ///< records that cannot be used, a sentence each
  std::int64_t confirmed_wall_seconds = 0;
  std::uint64_t generation = 0;  ///< changes with everything above but the time
  std::uint64_t lists = 0, failures = 0;
};

/// What this node asks for.
struct Application {
  OverlayConfig config;
  NodeRecord self;  ///< without blocks
  /// The blocks that this node had when its agent ran last: containers may have addresses of them. Asked for first.
  std::vector<IpPrefix> former_blocks;
  /// Has no container an address of the former blocks, so that others will do?
  std::function<bool()> may_move;
};

class PeerSource {
 public:
  /// An empty sentence is success.
  using Answer = std::function<void(const std::string& problem)>;

  PeerSource() = default;
  PeerSource(const PeerSource&) = delete;
  PeerSource& operator=(const PeerSource&) = delete;
  virtual ~PeerSource() = default;

  /// To be polled for input; -1: none, only deadlines.
  [[nodiscard]] virtual int fd() const = 0;
  [[nodiscard]] virtual Clock::time_point deadline() const = 0;
  /// After input or the deadline; may be called at any time.
  virtual void drive() = 0;
  /// Reads everything anew, now.
  virtual void refresh() = 0;
  /// Takes the blocks from a node that is not alive. Refused for one that is. `answer` may be called before the return.
  virtual void remove_node(const std::string& name, Answer answer) = 0;

  [[nodiscard]] const View& view() const { return view_; }

 protected:
  View view_;
};

/// Errors: kInvalidConfig, kUnsupportedField for `source` keys that the source does not know; kIo (a file of a certificate
/// or password that cannot be read).
[[nodiscard]] std::unique_ptr<PeerSource> make_etcd_source(Application application);
[[nodiscard]] std::unique_ptr<PeerSource> make_directory_source(Application application);

}  // namespace netctl::overlay
