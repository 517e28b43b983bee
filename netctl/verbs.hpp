#pragma once
// One function a verb, one file a group. Each prints its answer on stdout (a table for people, or JSON with a top-level
// "version" for programs) and throws Error when it cannot.

#include <optional>
#include <string>
#include <vector>

namespace netctl::cli {

inline constexpr int kJsonVersion = 1;

struct Output {
  bool json = false;
};

void ls(const Output& output);
void ps(const Output& output, const std::optional<std::string>& network);
void port(const Output& output, const std::optional<std::string>& container);
/// A network by name, or a container by id, unique prefix of the id, or name.
void inspect(const std::string& what);

struct AddOptions {
  std::string network;
  std::string target;  ///< PID, path of a namespace, or a name below /run/netns
  std::string container_id, container_name, ifname = "eth0";
  std::vector<std::string> publish;  ///< [HOSTIP:]HOST:CONTAINER[/protocol], ports may be ranges A-B
  std::vector<std::string> ips;
  std::string mac;
};
void add(const Output& output, const AddOptions& options);
/// `target`: as for add, or a container's id, prefix or name.
void del(const std::string& network, const std::string& target, const std::optional<std::string>& ifname);
/// Errors: kDrift when something is not as it was made.
void check(const Output& output, const std::optional<std::string>& network,
           const std::optional<std::string>& target);
/// What the reference plugins left, what drops forwarded packets, what overlaps, is missing, or is half-done; reads only.
/// Errors: kDrift when something of it is a problem.
void doctor(const Output& output);
void gc(const Output& output, const std::optional<std::string>& network);
/// What the networks' containers share on this host, as it should be: bridge, gateways, rules, an overlay's device, entries
/// and lease. Errors: kKernel naming what could not be repaired; the rest was.
void repair(const Output& output, const std::optional<std::string>& network);

void ip_reserve(const std::string& network, const std::string& name,
                const std::vector<std::string>& addresses);
void ip_release(const std::string& network, const std::string& name);
void ip_ls(const Output& output, const std::optional<std::string>& network);

/// Overlays: source, own blocks, how long ago the source confirmed them, what is wrong.
void overlay_status(const Output& output, const std::optional<std::string>& network);
/// The agent mends now, and asks the source anew. Errors: kTryAgainLater when no agent runs.
void overlay_sync(const std::optional<std::string>& network);
void node_ls(const Output& output, const std::optional<std::string>& network);
/// Takes the blocks from a node that is gone for good. Errors: kTryAgainLater: it is alive, or no agent runs here.
void node_rm(const std::string& network, const std::string& node);

}  // namespace netctl::cli
