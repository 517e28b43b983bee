#pragma once
// The leases that the reference's host-local keeps as files, on a node where its containers still live: one file an address
// in <data directory>/<network>, which holds the container's id and interface (host-local backend/disk/backend.go). Such an
// address is given to nobody else, and the DEL of its container frees it. New leases are never written there.

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/ip_address.hpp"
#include "base/unique_fd.hpp"

namespace netctl::engine {

struct ReferenceLease {
  IpAddress address;
  std::string container_id;  ///< empty: the file is empty or torn, nobody knows whose it is
  std::string ifname;        ///< empty in the files of old versions, which knew the id alone
};

class ReferenceLeases {
 public:
  static constexpr const char* kDefaultDirectory = "/var/lib/cni/networks";

  /// nullopt when the folder is not there: the usual case, one system call. Errors: kIo when it cannot be read.
  [[nodiscard]] static std::optional<ReferenceLeases> open(const std::string& data_directory,
                                                           const std::string& network);

  /// nullopt when there is no file of this address.
  [[nodiscard]] std::optional<ReferenceLease> find(const IpAddress& address) const;
  /// Reads the folder and every file in it: not for the usual path.
  [[nodiscard]] std::vector<ReferenceLease> list() const;
  /// Those of one interface; files that name the container alone count when none names the interface.
  [[nodiscard]] std::vector<ReferenceLease> list(const std::string& container_id,
                                                 const std::string& ifname) const;
  /// Removes the files of these leases that still say the same, under the lock that the reference takes (flock of the
  /// file `lock`). Idempotent. Errors: kTryAgainLater when that stays taken for `patience`; kIo.
  void remove(const std::vector<ReferenceLease>& leases,
              std::chrono::milliseconds patience = std::chrono::seconds(30)) const;

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  ReferenceLeases(std::string path, UniqueFd folder) : path_(std::move(path)), folder_(std::move(folder)) {}
  std::string path_;
  UniqueFd folder_;
};

/// For sentences: "container web (0123456789ab), interface eth0, by the lease file PATH".
[[nodiscard]] std::string describe(const ReferenceLeases& leases, const ReferenceLease& lease);

}  // namespace netctl::engine
