#include <algorithm>
#include <charconv>

#include "base/error.hpp"
#include "ipam/keys_internal.hpp"
#include "ipam/pool_state_internal.hpp"

namespace netctl::ipam {
namespace {

constexpr std::size_t kRemembered = 64;
constexpr std::int64_t kCoolDownNanoseconds = 30'000'000'000;
constexpr std::size_t kPoolIdBytes = 16;

std::string pool_key(char prefix, const PoolId& pool) {
  std::string key{prefix};
  bool well_formed = pool.size() == 2 * kPoolIdBytes;
  for (std::size_t i = 0; well_formed && i < pool.size(); i += 2) {
    std::uint8_t byte = 0;
    const char* const end = pool.data() + i + 2;
    const auto [stop, failure] = std::from_chars(pool.data() + i, end, byte, 16);
    well_formed = failure == std::errc{} && stop == end;
    key += static_cast<char>(byte);
  }
  if (!well_formed) throw Error(ErrorCode::kInternal, "\"" + pool + "\" is not the identity of a pool");
  return key;
}

}  // namespace

PoolId pool_id(const std::string& data_directory, const std::string& network) {
  return hash_parts({data_directory, network}).hex(2 * kPoolIdBytes);
}

std::string lease_prefix(const PoolId& pool) { return pool_key(kLeasePrefix, pool); }

std::string lease_key(const PoolId& pool, const IpAddress& address) {
  return lease_prefix(pool) + static_cast<char>(address.family()) + ByteWriter().raw(address.bytes()).take();
}

std::string owner_key(const PoolId& pool, const AttachmentKey& owner) {
  return pool_key(kOwnerPrefix, pool) +
         ByteWriter().raw(hash_parts({owner.network, owner.container_id, owner.ifname}).bytes).take();
}

IpAddress address_of_lease_key(std::string_view key) {
  ByteReader reader(key);
  reader.take(1 + kPoolIdBytes);
  const bool is_v4 = reader.number<std::uint8_t>() == static_cast<std::uint8_t>(Family::kIpv4);
  const std::string_view bytes = reader.take(is_v4 ? 4 : 16);
  return IpAddress::from_bytes({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
}

PoolState PoolState::load(const Transaction& transaction, const PoolId& pool) {
  PoolState state;
  const std::optional<std::string> bytes = transaction.get(pool_key(kPoolPrefix, pool));
  if (!bytes) return state;
  ByteReader reader(*bytes);
  state.leased = reader.number<std::uint64_t>();
  for (auto count = reader.number<std::uint8_t>(); count != 0; --count) {
    const auto set = reader.number<std::uint8_t>();
    state.cursors[set] = reader.address();
  }
  for (auto count = reader.number<std::uint8_t>(); count != 0; --count) {
    const IpAddress address = reader.address();
    state.released.push_back({address, static_cast<std::int64_t>(reader.number<std::uint64_t>())});
  }
  return state;
}

void PoolState::store(Transaction& transaction, const PoolId& pool) const {
  const std::string key = pool_key(kPoolPrefix, pool);
  ByteWriter writer;
  writer.number(leased).number(static_cast<std::uint8_t>(cursors.size()));
  for (const auto& [set, address] : cursors) writer.number(set).address(address);
  writer.number(static_cast<std::uint8_t>(released.size()));
  for (const Released& entry : released) {
    writer.address(entry.address).number(static_cast<std::uint64_t>(entry.boot_nanoseconds));
  }
  transaction.put(key, writer.take());
}

void PoolState::note_release(const IpAddress& address, std::int64_t now_boot_nanoseconds) {
  const auto forgettable = [&](const Released& entry) {
    return entry.address == address || now_boot_nanoseconds - entry.boot_nanoseconds >= kCoolDownNanoseconds;
  };
  released.erase(std::remove_if(released.begin(), released.end(), forgettable), released.end());
  if (released.size() == kRemembered) released.erase(released.begin());
  released.push_back({address, now_boot_nanoseconds});
}

namespace {

constexpr unsigned kBlockBits = 11;
constexpr uint128 kBlockSize = uint128{1} << kBlockBits;
constexpr std::size_t kBlockBytes = static_cast<std::size_t>(kBlockSize) / 8;

std::string block_key(const PoolId& pool, Family family, uint128 block) {
  return pool_key(kBlockPrefix, pool) + static_cast<char>(family) +
         ByteWriter().raw(IpAddress::from_number(Family::kIpv6, block).bytes()).take();
}

std::string load_block(const Transaction& transaction, const std::string& key) {
  std::string bits = transaction.get(key).value_or(std::string(kBlockBytes, '\0'));
  if (bits.size() != kBlockBytes) throw Damage("a block of leases has the wrong size");
  return bits;
}

}  // namespace

std::optional<uint128> LeaseBits::find_free(uint128 from, uint128 last) {
  constexpr uint128 kBitsOfAByte = 8;
  for (uint128 number = from;;) {
    if (loaded_ != number >> kBlockBits) {
      loaded_ = number >> kBlockBits;
      bits_ = load_block(transaction_, block_key(pool_, family_, *loaded_));
    }
    const auto bit = static_cast<unsigned>(number % kBlockSize);
    const auto byte = static_cast<std::uint8_t>(bits_[bit / 8]);
    if ((byte >> bit % 8 & 1) == 0) return number;
    const uint128 step = byte == 0xff ? kBitsOfAByte - bit % 8 : 1;
    if (last - number < step) return std::nullopt;
    number += step;
  }
}

void LeaseBits::set(Transaction& transaction, const PoolId& pool, const IpAddress& address, bool leased) {
  const std::string key = block_key(pool, address.family(), address.number() >> kBlockBits);
  std::string bits = load_block(transaction, key);
  const auto bit = static_cast<unsigned>(address.number() % kBlockSize);
  const unsigned mask = 1U << bit % 8;
  const unsigned byte = static_cast<std::uint8_t>(bits[bit / 8]);
  bits[bit / 8] = static_cast<char>(leased ? byte | mask : byte & ~mask);
  if (bits.find_first_not_of('\0') == std::string::npos) {
    transaction.erase(key);
  } else {
    transaction.put(key, bits);
  }
}

const PoolState::Released* PoolState::find_cooling(const IpAddress& address,
                                                   std::int64_t now_boot_nanoseconds) const {
  const auto found = std::find_if(released.begin(), released.end(), [&](const Released& entry) {
    return entry.address == address && now_boot_nanoseconds - entry.boot_nanoseconds < kCoolDownNanoseconds;
  });
  return found == released.end() ? nullptr : &*found;
}

}  // namespace netctl::ipam
