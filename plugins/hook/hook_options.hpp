#pragma once
// What is wanted of a call of the hook: its arguments (the administrator's) and the container's annotations (its owner's).

#include <map>
#include <string>
#include <vector>

namespace netctl::hook {

/// The container's state as an OCI runtime writes it (runtime-spec, runtime.md "State").
struct ContainerState {
  std::string id;
  std::string status;
  int pid = 0;  ///< 0: there is no process (any more)
  std::map<std::string, std::string> annotations;
};

struct Options {
  std::string network;
  std::string name;
  std::string ifname = "eth0";
  std::string mac;
  std::vector<std::string> ips;
  std::vector<std::string> publish;  ///< as `netctl add -p` has it
  std::vector<std::string> aliases;
};

/// Reads stdin's document. Errors: kDecode, naming the key.
[[nodiscard]] ContainerState read_state();

/// `arguments` without the program's name: --network, --publish, --name, --ip, --mac, --ifname, --alias, each with a value.
/// Annotations io.netctl.network, .publish, .name, .ip, .mac, .ifname, .aliases (lists with commas) win over them;
/// published ports, addresses and aliases of an annotation replace those of the arguments.
/// Errors: kInvalidConfig for anything unknown.
[[nodiscard]] Options read_options(const std::vector<std::string>& arguments,
                                   const std::map<std::string, std::string>& annotations);

}  // namespace netctl::hook
