#include "plugins/overlay/control/peers.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "base/error.hpp"
#include "base/hash.hpp"

namespace netctl::overlay {
namespace {

std::vector<IpPrefix> blocks_of(const std::vector<IpPrefix>& blocks, Family family) {
  std::vector<IpPrefix> some;
  for (const IpPrefix& block : blocks) {
    if (block.address.family() == family) some.push_back(block);
  }
  return some;
}

[[noreturn]] void reject(const std::string& sentence) { throw Error(ErrorCode::kInvalidConfig, sentence); }

void validate_block(const Node& node, const IpPrefix& block, const std::vector<IpPrefix>& subnets,
                    Mode mode) {
  const std::string whose = "the block " + block.to_string() + " of node " + node.name;
  if (block.has_host_bits()) {
    reject(whose + " has host bits; write " + block.network().to_string());
  }
  if (block.address.bits() - block.length < 2) {
    reject(whose +
           " has no address for a container beside the VTEP's and the gateway's; use a /30 (/126) or larger");
  }
  const bool inside = std::any_of(subnets.begin(), subnets.end(), [&block](const IpPrefix& subnet) {
    return subnet.length <= block.length && subnet.contains(block.address);
  });
  if (!inside) reject(whose + " is not inside the overlay's subnet; choose one that is");
  if (mode == Mode::kL2 && block.address.bits() - block.length > kLargestL2BlockBits) {
    reject(whose +
           " has more than 1024 addresses, each of which is an entry on every other node; use mode "
           "routed, or a smaller block");
  }
}

/// Both blocks of a pair have one hardware address for each place.
void validate_pairs(const Node& node) {
  const std::vector<IpPrefix> v4 = blocks_of(node.blocks, Family::kIpv4);
  const std::vector<IpPrefix> v6 = blocks_of(node.blocks, Family::kIpv6);
  if (v4.empty() || v6.empty()) return;
  bool paired = v4.size() == v6.size();
  for (std::size_t i = 0; paired && i < v4.size(); ++i) paired = 32U - v4[i].length == 128U - v6[i].length;
  if (paired) return;
  reject(
      "in mode l2 each IPv4 block of node " + node.name +
      " needs an IPv6 block of the same size (a /28 and a /124): a container's IPv6 address follows from its "
      "IPv4 one");
}

struct Owned {
  IpPrefix block;
  const std::string* node;
};

/// Sorted by first address, an overlap is always one of neighbours.
void reject_overlaps(std::vector<Owned> blocks) {
  std::sort(blocks.begin(), blocks.end(),
            [](const Owned& a, const Owned& b) { return a.block.address < b.block.address; });
  for (std::size_t i = 1; i < blocks.size(); ++i) {
    const Owned& before = blocks[i - 1];
    const Owned& after = blocks[i];
    if (!before.block.overlaps(after.block)) continue;
    reject("the blocks " + before.block.to_string() + " of node " + *before.node + " and " +
           after.block.to_string() + " of node " + *after.node +
           " overlap; give each node blocks of its own");
  }
}

}  // namespace

void validate_nodes(const std::vector<Node>& nodes, const std::vector<IpPrefix>& subnets, Mode mode) {
  std::set<std::string> names;
  std::map<IpAddress, std::string> vteps;
  std::vector<Owned> blocks;
  for (const Node& node : nodes) {
    if (!names.insert(node.name).second) {
      reject("two nodes are called " + node.name + "; every node needs a name of its own");
    }
    const auto [other, is_new] = vteps.emplace(node.vtep, node.name);
    if (!is_new) {
      reject("the nodes " + other->second + " and " + node.name + " have the same VTEP address " +
             node.vtep.to_string() + "; every node has its own");
    }
    if (node.vtep.family() != nodes.front().vtep.family()) {
      reject("the VTEP addresses of the nodes " + nodes.front().name + " and " + node.name +
             " are of different IP versions; one VXLAN device has only one");
    }
    if (mode == Mode::kL2) validate_pairs(node);
    for (const IpPrefix& subnet : subnets) {
      if (!subnet.contains(node.vtep)) continue;
      reject("the VTEP address " + node.vtep.to_string() + " of node " + node.name +
             " lies inside the overlay's subnet " + subnet.to_string() +
             ": its own packets would lead into it; give the overlay another subnet");
    }
    for (const IpPrefix& block : node.blocks) {
      validate_block(node, block, subnets, mode);
      blocks.push_back({block, &node.name});
    }
  }
  reject_overlaps(std::move(blocks));
}

MacAddress vtep_mac(const std::string& node, std::uint32_t vni) {
  return MacAddress::from_hash(hash_parts({"vtep", node, std::to_string(vni)}).high());
}

MacAddress gateway_mac(const std::string& node, std::uint32_t vni) {
  return MacAddress::from_hash(hash_parts({"gateway", node, std::to_string(vni)}).high());
}

IpAddress gateway_in(const IpPrefix& block) {
  return IpAddress::from_number(block.address.family(), block.first().number() + 1);
}

MacAddress container_mac(const IpAddress& address) {
  MacAddress mac;
  mac.bytes[0] = 0x02;
  mac.bytes[1] = address.is_v4() ? 0x42 : 0x4a;
  std::uint8_t* tail = mac.bytes.data() + 2;
  std::size_t at = 0;
  for (const std::uint8_t byte : address.bytes()) tail[at++ % 4] ^= byte;
  return mac;
}

std::optional<PairedAddress> paired_address(const std::vector<IpPrefix>& blocks, const IpAddress& address) {
  const std::vector<IpPrefix> v4 = blocks_of(blocks, Family::kIpv4);
  const std::vector<IpPrefix> v6 = blocks_of(blocks, Family::kIpv6);
  for (std::size_t i = 0; i < v4.size() && i < v6.size(); ++i) {
    if (!address.is_v4() || !v4[i].contains(address)) continue;
    const uint128 offset = address.number() - v4[i].first().number();
    return PairedAddress{IpAddress::from_number(Family::kIpv6, v6[i].first().number() + offset),
                         gateway_in(v6[i])};
  }
  return std::nullopt;
}

IpAddress gateway_to(const IpPrefix& block, const MacAddress& vtep) {
  if (block.address.is_v4()) return block.first();
  // fe80::/64 and the modified EUI-64 of the hardware address (RFC 4291, appendix A), as the kernel makes it.
  constexpr std::uint8_t kUniversalBit = 0x02;
  const std::array<std::uint8_t, 6>& b = vtep.bytes;
  const std::array<std::uint8_t, 16> bytes{
      0xfe, 0x80, 0,    0,    0,    0,    0,   0, static_cast<std::uint8_t>(b[0] ^ kUniversalBit),
      b[1], b[2], 0xff, 0xfe, b[3], b[4], b[5]};
  return IpAddress::from_bytes(bytes);
}

}  // namespace netctl::overlay
