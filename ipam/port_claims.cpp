#include "ipam/port_claims.hpp"

#include <algorithm>

#include "ipam/bytes_internal.hpp"
#include "ipam/keys_internal.hpp"

namespace netctl::ipam {
namespace {

constexpr std::uint32_t kLastPort = 65535;

/// What a claim's key says.
struct Claim {
  std::uint16_t first = 0;
  std::uint16_t count = 1;
  std::optional<IpAddress> host_ip;

  [[nodiscard]] std::uint32_t last() const { return std::uint32_t{first} + count - 1; }
};

std::string claims_prefix(char prefix, std::uint8_t protocol) {
  return ByteWriter().number(prefix).number(protocol).take();
}

std::string claim_key(const PortRecord& port) {
  const bool is_range = port.count > 1;
  ByteWriter writer;
  writer.number(is_range ? kPortRangePrefix : kPortPrefix).number(port.protocol).number(port.host_port);
  if (is_range) writer.number(port.count);
  writer.number(static_cast<std::uint8_t>(port.host_ip ? port.host_ip->family() : Family{}));
  if (port.host_ip) writer.raw(port.host_ip->bytes());
  return writer.take();
}

Claim parse_claim_key(std::string_view key) {
  Claim claim;
  ByteReader reader(key.substr(1));
  const bool is_range = key.front() == kPortRangePrefix;
  reader.number<std::uint8_t>();
  claim.first = reader.number<std::uint16_t>();
  if (is_range) claim.count = reader.number<std::uint16_t>();
  if (const auto family = reader.number<std::uint8_t>(); family != 0) {
    const std::string_view bytes = reader.take(family == static_cast<std::uint8_t>(Family::kIpv4) ? 4 : 16);
    claim.host_ip =
        IpAddress::from_bytes({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
  }
  return claim;
}

bool addresses_overlap(const std::optional<IpAddress>& one, const std::optional<IpAddress>& other) {
  if (!one || !other) return true;
  if (one->family() != other->family()) return false;
  return *one == *other || one->is_unspecified() || other->is_unspecified();
}

/// Calls `visit(claim, key)` for the claims that overlap ports `first` to `last` of the address: those of one port in
/// order, then ranges in order. Where it returns false it sees no more of that kind.
template <class Visit>
void visit_overlapping(const Transaction& transaction, std::uint8_t protocol,
                       const std::optional<IpAddress>& host_ip, std::uint32_t first, std::uint32_t last,
                       Visit visit) {
  const auto look = [&](std::string_view key) {
    const Claim claim = parse_claim_key(key);
    if (claim.first > last) return false;
    const bool overlaps = claim.last() >= first && addresses_overlap(claim.host_ip, host_ip);
    return !overlaps || visit(claim, key);
  };
  const std::string singles = claims_prefix(kPortPrefix, protocol);
  const std::string from = singles + ByteWriter().number(static_cast<std::uint16_t>(first)).take();
  transaction.scan_keys(singles, from, look);
  const std::string ranges = claims_prefix(kPortRangePrefix, protocol);
  transaction.scan_keys(ranges, ranges, look);
}

AttachmentKey owner_of(const Transaction& transaction, const std::string& key) {
  return ByteReader(transaction.get(key).value_or("")).owner();
}

bool same_container(const AttachmentKey& one, const AttachmentKey& other) {
  return one.container_id == other.container_id;
}

}  // namespace

std::optional<PortConflict> claim_port(Transaction& transaction, const PortRecord& port,
                                       const AttachmentKey& owner) {
  const std::string wanted = claim_key(port);
  const std::uint32_t last = std::uint32_t{port.host_port} + port.count - 1;
  if (port.host_port == 0 || port.count == 0 || last > kLastPort) {
    throw Error(ErrorCode::kInvalidConfig, "host ports " + std::to_string(port.host_port) + " to " +
                                               std::to_string(last) +
                                               " cannot be published; choose ports from 1 to 65535");
  }
  std::optional<PortConflict> conflict;
  bool claimed_already = false;
  visit_overlapping(transaction, port.protocol, port.host_ip, port.host_port, last,
                    [&](const Claim&, std::string_view key) {
                      if (conflict) return false;
                      const std::string holder_key(key);
                      const AttachmentKey holder = owner_of(transaction, holder_key);
                      if (same_container(holder, owner)) {
                        claimed_already |= holder_key == wanted;
                        return true;
                      }
                      conflict = PortConflict{port, holder, {}};
                      return false;
                    });
  if (conflict) {
    const std::optional<AttachmentRecord> record = transaction.find_attachment(conflict->holder);
    if (record) conflict->holder_name = record->container_name;
    return conflict;
  }
  if (!claimed_already) transaction.put(wanted, ByteWriter().owner(owner).take());
  return std::nullopt;
}

void release_port(Transaction& transaction, const PortRecord& port, const AttachmentKey& owner) {
  if (find_port_owner(transaction, port) == owner) transaction.erase(claim_key(port));
}

std::optional<AttachmentKey> find_port_owner(const Transaction& transaction, const PortRecord& port) {
  const std::optional<std::string> value = transaction.get(claim_key(port));
  if (!value) return std::nullopt;
  return ByteReader(*value).owner();
}

std::optional<std::uint16_t> find_free_port(const Transaction& transaction, std::uint8_t protocol,
                                            const std::optional<IpAddress>& host_ip, std::uint16_t first,
                                            std::uint16_t count) {
  if (count == 0) return std::nullopt;
  std::uint32_t candidate = std::max<std::uint32_t>(first, 1);
  // Claims of one port come in order and move the candidate in one walk; a claimed range makes a new walk necessary.
  for (std::uint32_t walked_from = 0; walked_from != candidate;) {
    walked_from = candidate;
    visit_overlapping(transaction, protocol, host_ip, candidate, kLastPort,
                      [&](const Claim& claim, std::string_view) {
                        const bool in_the_way = claim.first < candidate + count && claim.last() >= candidate;
                        if (in_the_way) candidate = claim.last() + 1;
                        return in_the_way || claim.first < candidate + count;
                      });
  }
  if (candidate + count - 1 > kLastPort) return std::nullopt;
  return static_cast<std::uint16_t>(candidate);
}

}  // namespace netctl::ipam
