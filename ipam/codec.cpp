#include "ipam/codec.hpp"

#include <array>
#include <utility>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "ipam/bytes_internal.hpp"

namespace netctl::ipam {
namespace {

using Json = nlohmann::json;

constexpr std::uint8_t kRecordVersion = 1;
constexpr std::array<std::pair<State, const char*>, 3> kStateNames{{
    {State::kAdding, "adding"},
    {State::kReady, "ready"},
    {State::kDeleting, "deleting"},
}};

Damage damaged(const std::string& why) { return Damage("a record cannot be read: " + why); }

const char* state_name(State state) {
  for (const auto& [known, name] : kStateNames) {
    if (known == state) return name;
  }
  throw Error(ErrorCode::kInternal, "a state without a name cannot be stored");
}

State state_of(const std::string& name) {
  for (const auto& [state, known] : kStateNames) {
    if (known == name) return state;
  }
  throw damaged("unknown state " + name);
}

IpAddress address_of(const Json& text) {
  const std::optional<IpAddress> address = IpAddress::parse(text.get<std::string>());
  if (!address) throw damaged("not an address: " + text.dump());
  return *address;
}

Json optional_address(const std::optional<IpAddress>& address) {
  return address ? Json(address->to_string()) : Json(nullptr);
}

std::optional<IpAddress> optional_address_of(const Json& value) {
  if (value.is_null()) return std::nullopt;
  return address_of(value);
}

Json addresses(const std::vector<IpAddress>& values) {
  Json array = Json::array();
  for (const IpAddress& address : values) array.push_back(address.to_string());
  return array;
}

std::vector<IpAddress> addresses_of(const Json& array) {
  std::vector<IpAddress> values;
  for (const Json& text : array) values.push_back(address_of(text));
  return values;
}

Json lease_json(const LeaseRecord& lease) {
  return {{"address", lease.address.to_string()},
          {"gateway", optional_address(lease.gateway)},
          {"pool", lease.pool}};
}

LeaseRecord lease_of(const Json& object) {
  const std::optional<IpPrefix> address = IpPrefix::parse(object.at("address").get<std::string>());
  if (!address) throw damaged("not an address with its prefix length: " + object.at("address").dump());
  return {*address, optional_address_of(object.at("gateway")), object.at("pool").get<std::string>()};
}

Json port_json(const PortRecord& port) {
  return {{"protocol", port.protocol},
          {"hostIp", optional_address(port.host_ip)},
          {"hostPort", port.host_port},
          {"count", port.count},
          {"containerPort", port.container_port},
          {"targets", addresses(port.targets)},
          {"masqueradeLocal", port.masquerade_local},
          {"claimedBy", port.claimed_by}};
}

PortRecord port_of(const Json& object) {
  PortRecord port;
  port.protocol = object.at("protocol").get<std::uint8_t>();
  port.host_ip = optional_address_of(object.at("hostIp"));
  port.host_port = object.at("hostPort").get<std::uint16_t>();
  port.count = object.at("count").get<std::uint16_t>();
  port.container_port = object.at("containerPort").get<std::uint16_t>();
  port.targets = addresses_of(object.at("targets"));
  port.masquerade_local = object.at("masqueradeLocal").get<bool>();
  port.claimed_by = object.at("claimedBy").get<std::vector<std::string>>();
  return port;
}

/// Takes fields out of an object one by one; what nobody took is `extra`.
class Fields {
 public:
  explicit Fields(Json object) : object_(std::move(object)) {
    if (!object_.is_object()) throw damaged("not an object");
  }
  /// Null when it is missing: an older version did not write it.
  Json take(const char* name) {
    const auto field = object_.find(name);
    if (field == object_.end()) return nullptr;
    Json value = std::move(*field);
    object_.erase(field);
    return value;
  }
  /// A missing field leaves the default.
  template <class T>
  void take(const char* name, T& into) {
    if (object_.contains(name)) into = take(name).get<T>();
  }
  /// What a record cannot be without.
  template <class T>
  void require(const char* name, T& into) {
    if (!object_.contains(name)) throw damaged(std::string("field missing: ") + name);
    take(name, into);
  }
  Json rest() { return std::move(object_); }

 private:
  Json object_;
};

std::string to_bytes(const Json& object) {
  std::string bytes;
  Json::to_cbor(object, bytes);
  return bytes;
}

/// Runs `read` over the fields of a stored object; whatever JSON has to complain about means damage.
template <class Read>
auto from_bytes(const std::string& bytes, Read read) {
  try {
    Fields fields(Json::from_cbor(bytes));
    return read(fields);
  } catch (const Json::exception& complaint) {
    throw damaged(complaint.what());
  }
}

}  // namespace

std::string encode(const AttachmentRecord& record) {
  Json object = record.extra;
  object["network"] = record.key.network;
  object["containerId"] = record.key.container_id;
  object["ifname"] = record.key.ifname;
  Json& parts = object["parts"] = Json::object();
  for (const auto& [part, state] : record.parts) parts[part] = state_name(state);
  object["netnsPath"] = record.netns_path;
  object["netnsCookie"] = record.netns_cookie;
  object["mountNamespace"] = record.mount_namespace;
  object["bridge"] = record.bridge;
  object["hostIfname"] = record.host_ifname;
  object["hostMac"] = record.host_mac;
  object["containerMac"] = record.container_mac;
  Json& leases = object["leases"] = Json::array();
  for (const LeaseRecord& lease : record.leases) leases.push_back(lease_json(lease));
  Json& ports = object["ports"] = Json::array();
  for (const PortRecord& port : record.ports) ports.push_back(port_json(port));
  object["containerName"] = record.container_name;
  object["labels"] = record.labels;
  object["runtime"] = record.runtime;
  object["createdWall"] = record.created_wall_seconds;
  object["createdBoot"] = record.created_boot_nanoseconds;
  object["result"] = record.result;
  return to_bytes(object);
}

AttachmentRecord decode_attachment(const std::string& bytes) {
  return from_bytes(bytes, [](Fields& fields) {
    AttachmentRecord record;
    fields.require("network", record.key.network);
    fields.require("containerId", record.key.container_id);
    fields.require("ifname", record.key.ifname);
    const Json parts = fields.take("parts");
    for (const auto& [part, state] : parts.items()) record.parts[part] = state_of(state.get<std::string>());
    fields.take("netnsPath", record.netns_path);
    fields.take("netnsCookie", record.netns_cookie);
    fields.take("mountNamespace", record.mount_namespace);
    fields.take("bridge", record.bridge);
    fields.take("hostIfname", record.host_ifname);
    fields.take("hostMac", record.host_mac);
    fields.take("containerMac", record.container_mac);
    for (const Json& lease : fields.take("leases")) record.leases.push_back(lease_of(lease));
    for (const Json& port : fields.take("ports")) record.ports.push_back(port_of(port));
    fields.take("containerName", record.container_name);
    fields.take("labels", record.labels);
    fields.take("runtime", record.runtime);
    fields.take("createdWall", record.created_wall_seconds);
    fields.take("createdBoot", record.created_boot_nanoseconds);
    record.result = fields.take("result");
    record.extra = fields.rest();
    return record;
  });
}

std::string encode(const NetworkRecord& record) {
  Json object = record.extra;
  object["name"] = record.name;
  object["driver"] = record.driver;
  object["bridge"] = record.bridge;
  object["bridgeCreated"] = record.bridge_created;
  object["policy"] = record.policy;
  object["subnets"] = record.subnets;
  object["pools"] = record.pools;
  object["sysctlsBefore"] = record.sysctls_before;
  return to_bytes(object);
}

NetworkRecord decode_network(const std::string& bytes) {
  return from_bytes(bytes, [](Fields& fields) {
    NetworkRecord record;
    fields.require("name", record.name);
    fields.take("driver", record.driver);
    fields.take("bridge", record.bridge);
    fields.take("bridgeCreated", record.bridge_created);
    record.policy = fields.take("policy");
    fields.take("subnets", record.subnets);
    fields.take("pools", record.pools);
    fields.take("sysctlsBefore", record.sysctls_before);
    record.extra = fields.rest();
    return record;
  });
}

std::string encode(const ReservationRecord& record) {
  return to_bytes(
      {{"network", record.network}, {"name", record.name}, {"addresses", addresses(record.addresses)}});
}

ReservationRecord decode_reservation(const std::string& bytes) {
  return from_bytes(bytes, [](Fields& fields) {
    ReservationRecord record;
    fields.require("network", record.network);
    fields.require("name", record.name);
    record.addresses = addresses_of(fields.take("addresses"));
    return record;
  });
}

namespace {

/// Over the key too, so that a record which turns up under another key is noticed.
std::uint64_t record_checksum(const std::string& key, std::uint8_t version, std::string_view value) {
  const std::string checked = ByteWriter().text(key).number(version).take().append(value);
  return checksum({reinterpret_cast<const std::uint8_t*>(checked.data()), checked.size()});
}

}  // namespace

std::string seal(const std::string& key, const std::string& value) {
  const std::uint64_t sum = record_checksum(key, kRecordVersion, value);
  return ByteWriter().number(kRecordVersion).number(sum).take() + value;
}

std::string unseal(const std::string& key, std::string_view sealed) {
  ByteReader reader(sealed);
  const auto version = reader.number<std::uint8_t>();
  const auto sum = reader.number<std::uint64_t>();
  const std::string_view value = sealed.substr(sizeof(version) + sizeof(sum));
  if (sum != record_checksum(key, version, value)) throw damaged("wrong checksum");
  if (version > kRecordVersion) {
    throw Error(ErrorCode::kIo,
                "the state store holds records of a newer netctl; install that version again");
  }
  return std::string(value);
}

}  // namespace netctl::ipam
