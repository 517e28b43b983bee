#pragma once
// Published ports of a request: claims in the store, and a look at the host's own sockets, for a free claim is not
// yet a free port.

#include <string>
#include <vector>

#include "ipam/port_claims.hpp"
#include "plugins/engine/host.hpp"
#include "plugins/engine/request.hpp"

namespace netctl::engine {

/// Thrown by claim_ports() when an attachment holds the port, so that the caller may see whether that one is dead.
class PortHeld : public Error {
 public:
  explicit PortHeld(const ipam::PortConflict& conflict);
  [[nodiscard]] const ipam::AttachmentKey& holder() const { return holder_; }

 private:
  ipam::AttachmentKey holder_;
};

/// The mappings as records that lead to `targets` (one address a family). hostPort 0 stays 0.
[[nodiscard]] std::vector<ipam::PortRecord> port_records(const std::vector<cni::PortMapping>& mappings,
                                                         const std::vector<IpAddress>& targets,
                                                         const std::string& claimed_by,
                                                         bool masquerade_local);

/// Claims all of them for `key`, chooses the host port where it is 0, and merges them into `record.ports` (a mapping that
/// another executable of the chain claimed already gets one more claimant).
/// Errors: PortHeld; kPortTaken when a process of the host listens there (names it).
/// Without `probe` the host's sockets are not looked at: the caller has them open itself.
void claim_ports(ipam::Transaction& store, ipam::AttachmentRecord& record,
                 std::vector<ipam::PortRecord> ports, bool probe = true);

/// Drops `claimant` from the record's ports, releases the claims that nobody is left of, and returns those ports.
std::vector<ipam::PortRecord> release_ports(ipam::Transaction& store, ipam::AttachmentRecord& record,
                                            const std::string& claimant);

/// For the result, when the runtime left a host port to us: {"ports": [...]} with the numbers that were chosen; else null.
[[nodiscard]] nlohmann::json chosen_ports(const std::vector<cni::PortMapping>& asked,
                                          const std::vector<ipam::PortRecord>& ports);

/// "8081/tcp", "127.0.0.1:8081/tcp", "8000-8010/udp".
[[nodiscard]] std::string to_string(const ipam::PortRecord& port);

}  // namespace netctl::engine
