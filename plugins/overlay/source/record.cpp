#include "plugins/overlay/source/record.hpp"

#include <algorithm>
#include <fstream>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "plugins/cni/json_text.hpp"
#include "plugins/cni/names.hpp"

namespace netctl::overlay {
namespace {

using Json = nlohmann::json;

constexpr std::uint32_t kMostNodes = 1U << 20U;

Json texts(const std::vector<IpPrefix>& prefixes) {
  Json list = Json::array();
  for (const IpPrefix& prefix : prefixes) list.push_back(prefix.to_string());
  return list;
}

[[noreturn]] void refuse(const std::string& what, const std::string& why, std::string_view text) {
  throw Error(ErrorCode::kDecode, what + " is no record of a node: " + why,
              cni::shortened(std::string(text)));
}

}  // namespace

BlockPlan::BlockPlan(const OverlayConfig& config)
    : subnets(config.subnets), length_v4(config.block_length_v4), length_v6(config.block_length_v6) {}

std::uint32_t BlockPlan::count() const {
  std::uint32_t fewest = kMostNodes;
  for (const IpPrefix& subnet : subnets) {
    const unsigned length = subnet.address.is_v4() ? length_v4 : length_v6;
    const unsigned bits = length - subnet.length;
    if (bits < 20) fewest = std::min(fewest, 1U << bits);
  }
  return fewest;
}

std::vector<IpPrefix> BlockPlan::blocks(std::uint32_t number) const {
  std::vector<IpPrefix> made;
  for (const IpPrefix& subnet : subnets) {
    const std::uint8_t length = subnet.address.is_v4() ? length_v4 : length_v6;
    const uint128 offset = uint128{number} << (subnet.address.bits() - length);
    made.push_back(
        {IpAddress::from_number(subnet.address.family(), subnet.first().number() + offset), length});
  }
  return made;
}

std::optional<std::uint32_t> BlockPlan::number_of(const std::vector<IpPrefix>& wanted) const {
  if (wanted.empty() || wanted.size() != subnets.size() ||
      !subnets.front().contains(wanted.front().address)) {
    return std::nullopt;
  }
  const IpAddress& address = wanted.front().address;
  const uint128 offset = address.number() - subnets.front().first().number();
  const auto number = static_cast<std::uint32_t>(offset >> (address.bits() - wanted.front().length));
  if (number >= count() || blocks(number) != wanted) return std::nullopt;
  return number;
}

std::uint64_t choice_of(const std::string& node, unsigned attempt) {
  return hash_parts({"block", node, std::to_string(attempt)}).high();
}

std::string to_text(const NodeRecord& record) {
  Json json{{"node", record.node.name},
            {"identity", record.identity},
            {"vtep", record.node.vtep.to_string()},
            {"blocks", texts(record.node.blocks)}};
  if (record.node.mtu_bytes) json["mtu"] = *record.node.mtu_bytes;
  return json.dump();
}

NodeRecord parse_record(std::string_view text, const std::string& what) {
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) refuse(what, "it is no JSON object", text);
  NodeRecord record;
  const auto word = [&](const char* key) {
    if (!json.contains(key) || !json[key].is_string()) refuse(what, std::string("it has no ") + key, text);
    return json[key].get<std::string>();
  };
  record.node.name = word("node");
  record.identity = word("identity");
  const auto vtep = IpAddress::parse(word("vtep"));
  if (!cni::is_valid_identifier(record.node.name)) refuse(what, "its node has no proper name", text);
  if (!vtep || vtep->is_unspecified()) refuse(what, "its vtep is no address", text);
  record.node.vtep = *vtep;
  if (!json.contains("blocks") || !json["blocks"].is_array()) refuse(what, "it has no blocks", text);
  for (const Json& block : json["blocks"]) {
    const auto prefix = IpPrefix::parse(block.is_string() ? block.get<std::string>() : "");
    if (!prefix) refuse(what, "a block is no CIDR", text);
    record.node.blocks.push_back(*prefix);
  }
  if (json.contains("mtu")) {
    if (!json["mtu"].is_number_unsigned()) refuse(what, "its mtu is no number", text);
    constexpr std::uint64_t kLargestMtu = 65535;
    record.node.mtu_bytes =
        static_cast<std::uint32_t>(std::min(json["mtu"].get<std::uint64_t>(), kLargestMtu));
  }
  return record;
}

std::string agreement(const OverlayConfig& config) {
  const BlockPlan plan(config);
  return Json{{"mode", config.mode == Mode::kL2 ? "l2" : "routed"},
              {"vni", config.vni},
              {"port", config.port},
              {"subnets", texts(config.subnets)},
              {"blocks", texts(plan.blocks(0))},
              {"encrypted", config.encrypted}}
      .dump();
}

std::string machine_identity() {
  std::ifstream file("/etc/machine-id");
  std::string id;
  if (!(file >> id) || id.size() != 32) {
    throw Error(ErrorCode::kIo,
                "/etc/machine-id is missing or empty, so that this machine cannot be told from another one; "
                "run systemd-machine-id-setup");
  }
  return hash_parts({"netctl-overlay-identity", id}).hex();
}

}  // namespace netctl::overlay
