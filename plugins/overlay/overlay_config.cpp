#include "plugins/overlay/overlay_config.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "plugins/cni/config_reader.hpp"
#include "plugins/cni/names.hpp"
#include "plugins/overlay/control/vtep.hpp"

namespace netctl::overlay {
namespace {

using cni::ConfigReader;

constexpr std::int64_t kLargestVni = (1 << 24) - 1;
constexpr std::int64_t kLargestPort = 65535;
constexpr std::int64_t kLargestMtu = 65535;
constexpr std::int64_t kSmallestMtuV4 = 576;      // RFC 791
constexpr std::int64_t kSmallestMtuV6 = 1280;     // RFC 8200
constexpr std::size_t kLongestNetworkName = 200;  // it is part of a file's name
constexpr std::array<const char*, 4> kSources{"static", "dir", "etcd", "evpn"};

Mode read_mode(const ConfigReader& config) {
  const std::string mode = config.text("mode").value_or("routed");
  if (mode == "routed") return Mode::kRouted;
  if (mode == "l2") return Mode::kL2;
  config.complain("mode", R"(must be "routed" or "l2")");
}

void check_node_name(const ConfigReader& config, const std::string& name) {
  if (!cni::is_valid_identifier(name) || name.size() > 253) {
    config.complain("node", "is no name for a node (a letter or digit, then letters, digits, '_', '.', '-')");
  }
}

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) throw_errno("ask for the host's name");
  return name.data();
}

std::string read_node_name(const ConfigReader& config) {
  std::string name = config.text("node").value_or("");
  if (!name.empty()) {
    check_node_name(config, name);
    return name;
  }
  std::string host = host_name();
  if (!cni::is_valid_identifier(host)) config.complain("node", "is needed: the host has no usable name");
  return host;
}

std::vector<IpPrefix> read_cidrs(const ConfigReader& reader, std::string_view key) {
  std::vector<IpPrefix> prefixes;
  for (const std::string& text : reader.texts(key)) {
    const auto prefix = IpPrefix::parse(text);
    if (!prefix) reader.complain(key, "holds \"" + text + "\", which is no CIDR");
    if (prefix->has_host_bits()) {
      reader.complain(key, "holds " + text + " with host bits; write " + prefix->network().to_string());
    }
    prefixes.push_back(*prefix);
  }
  return prefixes;
}

void read_subnets(const ConfigReader& config, OverlayConfig& overlay) {
  overlay.subnets = read_cidrs(config, "subnets");
  if (overlay.subnets.empty())
    config.complain("subnets", "is needed: a list with the subnet of the whole overlay");
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    const auto count = std::count_if(overlay.subnets.begin(), overlay.subnets.end(),
                                     [family](const IpPrefix& s) { return s.address.family() == family; });
    if (count > 1)
      config.complain("subnets", "holds two subnets of one IP version; one overlay has one of each");
  }
}

std::uint8_t read_block_length(const ConfigReader& config, std::string_view key, const OverlayConfig& overlay,
                               Family family, std::uint8_t otherwise) {
  const std::int64_t longest = family == Family::kIpv4 ? 30 : 126;
  const auto length = static_cast<std::uint8_t>(config.integer(key, 1, longest).value_or(otherwise));
  for (const IpPrefix& subnet : overlay.subnets) {
    if (subnet.address.family() != family || length >= subnet.length) continue;
    config.complain(
        key, "(" + std::to_string(length) + ") is a larger block than the subnet " + subnet.to_string());
  }
  return length;
}

void refuse_unknown(const ConfigReader& reader, const std::vector<std::string_view>& known) {
  const auto unknown = reader.unknown_keys(known);
  if (unknown.empty()) return;
  throw Error(
      ErrorCode::kUnsupportedField,
      "the key " + reader.path_of(unknown.front()) + " is not known to this version; see README for the keys",
      unknown.front());
}

Node read_node(const ConfigReader& reader) {
  refuse_unknown(reader, {"node", "vtep", "blocks", "mtu"});
  Node node;
  node.name = reader.text("node").value_or("");
  check_node_name(reader, node.name);
  const auto vtep = reader.address("vtep");
  if (!vtep) reader.complain("vtep", "is needed: the node's address in the underlay");
  node.vtep = *vtep;
  node.blocks = read_cidrs(reader, "blocks");
  if (node.blocks.empty())
    reader.complain("blocks", "is needed: the blocks of the overlay that the node has");
  if (const auto mtu = reader.integer("mtu", kSmallestMtuV4, kLargestMtu)) {
    node.mtu_bytes = static_cast<std::uint32_t>(*mtu);
  }
  return node;
}

void read_source(const ConfigReader& config, OverlayConfig& overlay) {
  std::string type = "static";
  if (const nlohmann::json* raw = config.raw("source")) {
    if (raw->is_object()) {
      type = ConfigReader(*raw, "source").text("type").value_or("");
      overlay.source_options = *raw;
      overlay.source_options.erase("type");
    } else {
      type = config.text("source").value_or("");
    }
  }
  const auto found = std::find(kSources.begin(), kSources.end(), type);
  if (found == kSources.end()) {
    config.complain("source", R"(must be "static", "dir", "etcd" or "evpn", or an object with such a type)");
  }
  overlay.source = static_cast<Source>(found - kSources.begin());
  if (overlay.source == Source::kStatic) {
    refuse_unknown(ConfigReader(overlay.source_options, "source"), {});
    config.each_object(
        "nodes", [&overlay](const ConfigReader& reader) { overlay.nodes.push_back(read_node(reader)); });
    if (overlay.nodes.empty()) config.complain("nodes", "is needed: the list of all nodes, this one too");
    validate_nodes(overlay.nodes, overlay.subnets, overlay.mode);
  } else if (config.has("nodes")) {
    config.complain("nodes", "is for the source \"static\"; " + type + " tells the nodes itself");
  }
}

/// An address, or else the name of an interface.
void read_vtep(const ConfigReader& config, OverlayConfig& overlay) {
  const std::string text = config.text("vtep").value_or("");
  overlay.vtep = IpAddress::parse(text);
  if (text.empty() || overlay.vtep) {
    if (overlay.vtep && overlay.vtep->is_unspecified()) config.complain("vtep", "is no address of a host");
    if (text.empty() && overlay.source != Source::kStatic) {
      config.complain("vtep", "is needed: this host's address in the underlay, or the interface that has it");
    }
    return;
  }
  if (const auto problem = cni::interface_name_problem(text); !problem.empty()) {
    config.complain("vtep", "is neither an address nor the name of an interface");
  }
  overlay.vtep_interface = text;
}

const Node* own_node(const OverlayConfig& config) {
  const auto own = std::find_if(config.nodes.begin(), config.nodes.end(),
                                [&config](const Node& node) { return node.name == config.node; });
  return own == config.nodes.end() ? nullptr : &*own;
}

IpAddress find_vtep(netlink::Socket& socket, const OverlayConfig& config) {
  if (config.vtep) return *config.vtep;
  if (!config.vtep_interface.empty()) return address_of_interface(socket, config.vtep_interface);
  const Node* own = own_node(config);
  if (own == nullptr) {
    throw Error(ErrorCode::kInvalidConfig,
                "nodes: this host is called " + config.node +
                    ", which is not in the list; add it, or set the key node to a name that is");
  }
  return own->vtep;
}

std::uint32_t inner_mtu(const OverlayConfig& config, const Underlay& underlay, const IpAddress& vtep) {
  const std::uint32_t overhead = overhead_bytes(vtep.family()) + (config.encrypted ? kEncryptionBytes : 0);
  const std::uint32_t most = underlay.mtu_bytes > overhead ? underlay.mtu_bytes - overhead : 0;
  const bool has_v6 = std::any_of(config.subnets.begin(), config.subnets.end(),
                                  [](const IpPrefix& subnet) { return !subnet.address.is_v4(); });
  const auto least = static_cast<std::uint32_t>(has_v6 ? kSmallestMtuV6 : kSmallestMtuV4);
  const std::uint32_t mtu = config.mtu_bytes == 0 ? most : config.mtu_bytes;
  if (mtu > most || mtu < least) {
    throw Error(ErrorCode::kInvalidConfig,
                "mtu: " + std::to_string(mtu) + " does not fit: the underlay " + underlay.name + " carries " +
                    std::to_string(underlay.mtu_bytes) + " bytes, " + std::to_string(overhead) +
                    " of them are the outer headers, and containers need at least " + std::to_string(least) +
                    "; set mtu to a value in between, or raise the underlay's MTU");
  }
  return mtu;
}

}  // namespace

const char* to_string(Source source) { return kSources[static_cast<std::size_t>(source)]; }

std::string OverlayConfig::digest() const {
  std::string text = network + '\n' + to_string(source) + '\n' + node + '\n' +
                     (vtep ? vtep->to_string() : "") + '\n' + vtep_interface + '\n' +
                     std::to_string(static_cast<int>(mode)) + '\n' + std::to_string(vni) + '\n' +
                     std::to_string(port) + '\n' + std::to_string(mtu_bytes) + '\n' +
                     std::to_string(block_length_v4) + '\n' + std::to_string(block_length_v6) + '\n' +
                     (encrypted ? "encrypted\n" : "\n") + source_options.dump() + '\n';
  for (const IpPrefix& subnet : subnets) text += subnet.to_string() + ' ';
  for (const Node& each : nodes) {
    text += '\n' + each.name + ' ' + each.vtep.to_string() + ' ' + std::to_string(each.mtu_bytes.value_or(0));
    for (const IpPrefix& block : each.blocks) text += ' ' + block.to_string();
  }
  return hash_parts({"overlay-configuration", text}).hex();
}

OverlayConfig read_overlay_config(const nlohmann::json& json, const std::string& network) {
  const ConfigReader config(json, "");
  OverlayConfig overlay;
  overlay.network = network;
  if (network.size() > kLongestNetworkName)
    config.complain("name", "is too long; an overlay's has at most 200 bytes");
  overlay.mode = read_mode(config);
  const auto vni = config.integer("vni", 1, kLargestVni);
  if (!vni) config.complain("vni", "is needed: a number from 1 to 16777215, the same on all nodes");
  overlay.vni = static_cast<std::uint32_t>(*vni);
  overlay.port = static_cast<std::uint16_t>(config.integer("port", 1, kLargestPort).value_or(4789));
  overlay.node = read_node_name(config);
  read_subnets(config, overlay);
  const bool l2 = overlay.mode == Mode::kL2;
  overlay.block_length_v4 = read_block_length(config, "blockLength4", overlay, Family::kIpv4, l2 ? 28 : 24);
  overlay.block_length_v6 = read_block_length(config, "blockLength6", overlay, Family::kIpv6, l2 ? 124 : 64);
  overlay.mtu_bytes = static_cast<std::uint32_t>(config.integer("mtu", 0, kLargestMtu).value_or(0));
  overlay.encrypted = config.boolean("encrypted").value_or(false);
  if (overlay.encrypted) {
    throw Error(ErrorCode::kUnsupportedField,
                "encrypted: true is not done by this version, and nothing is sent in the clear instead; "
                "leave it out, "
                "or encrypt the underlay",
                "encrypted");
  }
  read_source(config, overlay);
  read_vtep(config, overlay);
  return overlay;
}

Lease local_lease(netlink::Socket& socket, const OverlayConfig& config) {
  Lease lease;
  lease.network = config.network;
  lease.source = to_string(config.source);
  lease.configuration = config.digest();
  lease.node = config.node;
  lease.mode = config.mode;
  lease.vni = config.vni;
  lease.port = config.port;
  lease.vtep = find_vtep(socket, config);
  lease.mtu_bytes = inner_mtu(config, find_underlay(socket, lease.vtep), lease.vtep);
  lease.subnets = config.subnets;
  lease.encrypted = config.encrypted;
  return lease;
}

Membership static_membership(netlink::Socket& socket, const OverlayConfig& config) {
  const Node* own = own_node(config);
  Lease lease = local_lease(socket, config);
  if (own == nullptr || own->vtep != lease.vtep) {
    throw Error(ErrorCode::kInvalidConfig,
                own == nullptr
                    ? "nodes: this host is called " + config.node +
                          ", which is not in the list; add it, or set the key node to a name that is"
                    : "nodes: the list says that " + config.node + " has the VTEP address " +
                          own->vtep.to_string() + ", but this host's is " + lease.vtep.to_string() +
                          "; two hosts may have one name: name the right node with the key node");
  }
  lease.blocks = own->blocks;
  return make_membership(lease, config.nodes);
}

}  // namespace netctl::overlay
