#pragma once
// The small record beside the leases of a pool.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ipam/pool.hpp"

namespace netctl::ipam {

struct PoolState {
  struct Released {
    IpAddress address;
    std::int64_t boot_nanoseconds = 0;
  };

  std::uint64_t leased = 0;
  std::map<std::uint8_t, IpAddress> cursors;  ///< set -> the address that was given last
  std::vector<Released> released;             ///< the latest, oldest first

  [[nodiscard]] static PoolState load(const Transaction& transaction, const PoolId& pool);
  void store(Transaction& transaction, const PoolId& pool) const;

  void note_release(const IpAddress& address, std::int64_t now_boot_nanoseconds);
  /// When the address was released, if that is so recent that it should rest.
  [[nodiscard]] const Released* find_cooling(const IpAddress& address,
                                             std::int64_t now_boot_nanoseconds) const;
};

/// Which addresses of a pool are leased, without a walk over the leases: a full /16 is 32 small records.
class LeaseBits {
 public:
  LeaseBits(const Transaction& transaction, PoolId pool, Family family)
      : transaction_(transaction), pool_(std::move(pool)), family_(family) {}

  /// The first address of `from` to `last` that is not leased.
  [[nodiscard]] std::optional<uint128> find_free(uint128 from, uint128 last);

  static void set(Transaction& transaction, const PoolId& pool, const IpAddress& address, bool leased);

 private:
  const Transaction& transaction_;
  PoolId pool_;
  Family family_;
  std::optional<uint128> loaded_;  // the number of the block in bits_
  std::string bits_;
};

// Keys of a pool's records. Errors: kInternal when `pool` is not what pool_id() makes.
[[nodiscard]] std::string lease_prefix(const PoolId& pool);
[[nodiscard]] std::string lease_key(const PoolId& pool, const IpAddress& address);
[[nodiscard]] std::string owner_key(const PoolId& pool, const AttachmentKey& owner);
/// The address at the end of a lease's key.
[[nodiscard]] IpAddress address_of_lease_key(std::string_view key);

}  // namespace netctl::ipam
