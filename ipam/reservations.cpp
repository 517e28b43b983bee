#include "ipam/reservations.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "ipam/codec.hpp"
#include "ipam/keys_internal.hpp"

namespace netctl::ipam {
namespace {

std::string reservation_key(const std::string& network, const std::string& name) {
  return hashed_key(kReservationPrefix, network) + ByteWriter().raw(hash_parts({name}).bytes).take();
}

std::vector<IpPrefix> read_subnets(const std::string& bytes, std::string* network) {
  ByteReader reader(bytes);
  *network = reader.text();
  std::vector<IpPrefix> subnets;
  for (auto count = reader.number<std::uint8_t>(); count != 0; --count) {
    const IpAddress address = reader.address();
    subnets.push_back({address, reader.number<std::uint8_t>()});
  }
  return subnets;
}

}  // namespace

void put_reservation(Transaction& durable, const ReservationRecord& reservation) {
  durable.put(reservation_key(reservation.network, reservation.name), encode(reservation));
}

bool erase_reservation(Transaction& durable, const std::string& network, const std::string& name) {
  const std::string key = reservation_key(network, name);
  if (!durable.get(key)) return false;
  durable.erase(key);
  return true;
}

std::vector<ReservationRecord> list_reservations(const Transaction& durable,
                                                 const std::optional<std::string>& network) {
  const std::string prefix =
      network ? hashed_key(kReservationPrefix, *network) : std::string{kReservationPrefix};
  std::vector<ReservationRecord> reservations;
  durable.scan(prefix, prefix, [&](const std::string&, const std::string& value) {
    reservations.push_back(decode_reservation(value));
    return true;
  });
  return reservations;
}

std::vector<IpPrefix> find_chosen_subnets(const Transaction& durable, const std::string& network) {
  const std::optional<std::string> value = durable.get(hashed_key(kSubnetPrefix, network));
  if (!value) return {};
  std::string stored_for;
  std::vector<IpPrefix> subnets = read_subnets(*value, &stored_for);
  if (stored_for != network) {
    throw Error(ErrorCode::kInternal,
                "two networks have the same hash in the state store; rename one of them");
  }
  return subnets;
}

void put_chosen_subnets(Transaction& durable, const std::string& network,
                        const std::vector<IpPrefix>& subnets) {
  ByteWriter writer;
  writer.text(network).number(static_cast<std::uint8_t>(subnets.size()));
  for (const IpPrefix& subnet : subnets) writer.address(subnet.address).number(subnet.length);
  durable.put(hashed_key(kSubnetPrefix, network), writer.take());
}

void erase_chosen_subnets(Transaction& durable, const std::string& network) {
  durable.erase(hashed_key(kSubnetPrefix, network));
}

std::vector<IpPrefix> list_chosen_subnets(const Transaction& durable) {
  const std::string prefix{kSubnetPrefix};
  std::vector<IpPrefix> all;
  durable.scan(prefix, prefix, [&](const std::string&, const std::string& value) {
    std::string network;
    const std::vector<IpPrefix> subnets = read_subnets(value, &network);
    all.insert(all.end(), subnets.begin(), subnets.end());
    return true;
  });
  return all;
}

IpPrefix choose_ipv4_subnet(const std::vector<IpPrefix>& in_use) {
  const auto is_free = [&](const IpPrefix& candidate) {
    return std::none_of(in_use.begin(), in_use.end(),
                        [&](const IpPrefix& used) { return used.overlaps(candidate); });
  };
  const IpPrefix first{IpAddress::from_number(Family::kIpv4, 0xAC110000), 16};        // 172.17.0.0/16
  const IpPrefix blocks_from{IpAddress::from_number(Family::kIpv4, 0x0AD20000), 24};  // 10.210.0.0/24
  if (is_free(first)) return first;
  constexpr uint128 kBlocks = 256;
  constexpr uint128 kBlockSize = 256;
  for (uint128 block = 0; block < kBlocks; ++block) {
    const uint128 number = blocks_from.address.number() + block * kBlockSize;
    const IpPrefix candidate{IpAddress::from_number(Family::kIpv4, number), blocks_from.length};
    if (is_free(candidate)) return candidate;
  }
  throw Error(
      ErrorCode::kSubnetUnavailable,
      "every subnet of the default list (172.17.0.0/16, 10.210.0.0/16 in /24s) overlaps something in use; "
      "write a subnet into the network's configuration");
}

}  // namespace netctl::ipam
