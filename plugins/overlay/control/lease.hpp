#pragma once
// What this host knows of one overlay, in a file: its own blocks, its VTEP, and all nodes. Whoever decides (the agent; or
// ADD itself, where the configuration lists the nodes) writes it whole and by rename. ADD, CHECK and repair read it and ask
// nobody else, so that they work whatever became of the agent and of what stands behind it.
//
// `STATE_DIRECTORY/overlay/NETWORK.lease.json` has two lines, each a JSON object: the lease, which every ADD reads, and the
// nodes, which only those read who program the kernel. Both carry a digest, so that a file that was cut off or edited is
// seen.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "plugins/overlay/control/peers.hpp"

namespace netctl::overlay {

/// Until when the blocks are this node's for sure, if nobody confirms them again. CLOCK_BOOTTIME means nothing in another
/// boot, hence the boot's id: a lease that was not confirmed since the host started is not used.
struct Expiry {
  std::string boot_id;
  std::int64_t boot_nanoseconds = 0;

  auto operator<=>(const Expiry&) const = default;
};

struct Lease {
  std::string network;
  std::string source;  ///< who said so: "static", "dir", "etcd", "evpn"
  std::string
      configuration;  ///< digest of the configuration that it was made of: ADD sees by it that it has another one
  std::string node;  ///< this host's name among the nodes
  Mode mode = Mode::kRouted;
  std::uint32_t vni = 0;
  std::uint16_t port = 4789;      ///< UDP, host order
  IpAddress vtep;                 ///< this host's, of the underlay
  std::uint32_t mtu_bytes = 0;    ///< of inner packets
  std::vector<IpPrefix> subnets;  ///< of the whole overlay
  std::vector<IpPrefix> blocks;   ///< this node's own
  bool encrypted = false;
  std::uint64_t revision = 0;               ///< of the nodes at their source; grows with every change there
  std::int64_t confirmed_wall_seconds = 0;  ///< Unix time of the last word from the source, for people
  std::optional<Expiry> expiry;             ///< nullopt: nobody else takes the blocks without being told to
  std::string fenced;  ///< not empty: a sentence why no container may be added; those that run are left alone

  bool operator==(const Lease&) const = default;
};

/// Where the lease of a network is, below the state directory.
[[nodiscard]] std::string lease_path(const std::string& state_directory, const std::string& network);

/// Replaces the file (rename after fsync); a reader sees the old or the new one. `nodes` is all of them, this one too, in
/// any order. Makes the folder. Returns whether the nodes, or anything that the kernel's entries are made of, are others
/// than before: whoever programs them needs no call when not. Errors: kIo.
bool write_lease(const std::string& state_directory, const Lease& lease, std::vector<Node> nodes);

/// nullopt: there is none yet. One read of one line. Errors: kTryAgainLater when the file is damaged (names it), kIo.
[[nodiscard]] std::optional<Lease> read_lease(const std::string& state_directory, const std::string& network);

/// A lease with everything that belongs to it.
struct Membership {
  Lease lease;
  std::vector<Node> nodes;  ///< by name
  std::string digest;       ///< changes with everything that the kernel's entries are made of

  bool operator==(const Membership&) const = default;
};

[[nodiscard]] std::optional<Membership> read_membership(const std::string& state_directory,
                                                        const std::string& network);

/// As Membership has it, from the first line alone: what ADD compares with what was programmed last. nullopt: no lease.
/// Errors: as read_lease().
struct LeaseHead {
  Lease lease;
  std::string digest;
};
[[nodiscard]] std::optional<LeaseHead> read_lease_head(const std::string& state_directory,
                                                       const std::string& network);

/// The membership that write_lease() would write.
[[nodiscard]] Membership make_membership(const Lease& lease, std::vector<Node> nodes);

/// Idempotent.
void remove_lease(const std::string& state_directory, const std::string& network);

/// Why a container cannot be added with it, for the error's sentence: fenced, expired, of another boot. nullopt: it can.
[[nodiscard]] std::optional<std::string> refusal(const Lease& lease, const std::string& boot_id,
                                                 std::int64_t boot_nanoseconds);

/// /proc/sys/kernel/random/boot_id. Errors: kIo.
[[nodiscard]] std::string read_boot_id();

}  // namespace netctl::overlay
