// load LEASES PUBLISHED: fills the store and the table of a network of the bench as many containers would, without making
// their links (a bridge has 1,024 ports, a pool of this size serves many bridges' worth of churn).
//
// Runs in the host namespace of the network, with $NETCTL_STATE_DIR, after its first ADD: the record of that attachment is
// the pattern for all others, so that they look as the product's own. The pool is filled to the last address and then
// thinned out evenly to LEASES, as that of a machine that has been up for long: free addresses lie scattered, and the
// next-fit cursor has been round.

#include <cstdint>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "ipam/pool.hpp"
#include "ipam/port_claims.hpp"
#include "ipam/store.hpp"
#include "iptables/policy_table.hpp"
#include "netlink/netns.hpp"

namespace {

using namespace netctl;

constexpr const char* kNetwork = "bench";
constexpr const char* kBridge = "bench0";
constexpr const char* kSubnet = "10.77.0.0/16";
constexpr std::uint16_t kFirstPort = 40000;
constexpr std::uint16_t kContainerPort = 8080;
constexpr std::uint8_t kTcp = 6;
constexpr std::int64_t kLongAgo = 0;  // boot clock: what is released then does not rest any more
constexpr std::size_t kPortsPerBatch = 500;

ipam::AttachmentRecord find_pattern(const ipam::Store& store) {
  std::vector<ipam::AttachmentRecord> present;
  store.read([&](const ipam::Transaction& live) { present = live.list_attachments(kNetwork); });
  if (present.empty() || present.front().leases.empty()) {
    throw Error(ErrorCode::kInternal, "the network has no attachment yet; ADD one first");
  }
  return present.front();
}

ipam::PoolConfig pool_like(const ipam::AttachmentRecord& pattern) {
  ipam::PoolConfig pool;
  pool.id = pattern.leases.front().pool;
  pool.network = kNetwork;
  pool.sets = {{ipam::resolve_range({*IpPrefix::parse(kSubnet), {}, {}, {}})}};
  return pool;
}

ipam::AttachmentRecord record_like(const ipam::AttachmentRecord& pattern, std::uint64_t number) {
  ipam::AttachmentRecord record = pattern;
  std::string id = std::to_string(number);
  record.key.container_id = std::string(64 - id.size(), 'f') + id;
  record.ports.clear();
  record.leases.clear();
  return record;
}

void lease_every_address(ipam::Transaction& live, const ipam::PoolConfig& pool,
                         std::vector<ipam::AttachmentRecord>& records,
                         const ipam::AttachmentRecord& pattern) {
  const ipam::Utilisation use = ipam::utilisation(live, pool);
  for (std::uint64_t number = 0; number < use.size - use.leased; ++number) {
    ipam::AttachmentRecord record = record_like(pattern, number);
    record.leases = ipam::allocate(live, pool, {record.key, {}, {}, {}, kLongAgo}, {});
    records.push_back(std::move(record));
  }
}

std::vector<ipam::AttachmentRecord> thin_out(ipam::Transaction& live,
                                             std::vector<ipam::AttachmentRecord> records,
                                             std::size_t wanted) {
  std::vector<ipam::AttachmentRecord> kept;
  for (std::size_t i = 0; i < records.size(); ++i) {
    if ((i + 1) * wanted / records.size() > kept.size()) {
      kept.push_back(std::move(records[i]));
    } else {
      ipam::release(live, records[i].leases, records[i].key, kLongAgo);
    }
  }
  return kept;
}

ipam::PortRecord publish(ipam::AttachmentRecord& record, std::uint16_t host_port) {
  ipam::PortRecord port;
  port.protocol = kTcp;
  port.host_port = host_port;
  port.container_port = kContainerPort;
  port.targets = {record.leases.front().address.address};
  port.claimed_by = {"portmap"};
  record.ports = {port};
  return port;
}

std::vector<ipam::PortRecord> fill_store(ipam::Store& store, std::size_t leases, std::size_t published) {
  const ipam::AttachmentRecord pattern = find_pattern(store);
  const ipam::PoolConfig pool = pool_like(pattern);
  std::vector<ipam::PortRecord> ports;
  store.write([&](ipam::Transaction& live) {
    std::vector<ipam::AttachmentRecord> records;
    lease_every_address(live, pool, records, pattern);
    records = thin_out(live, std::move(records), leases);
    for (ipam::AttachmentRecord& record : records) {
      if (ports.size() < published) {
        ports.push_back(publish(record, static_cast<std::uint16_t>(kFirstPort + ports.size())));
        if (ipam::claim_port(live, ports.back(), record.key)) {
          throw Error(ErrorCode::kPortTaken,
                      "host port " + std::to_string(ports.back().host_port) + " is taken");
        }
      }
      live.put_attachment(record);
    }
  });
  return ports;
}

void fill_table(const std::vector<ipam::PortRecord>& ports) {
  iptables::NetworkPolicy network;
  network.network = kNetwork;
  network.link = kBridge;
  network.masquerade = {*IpPrefix::parse(kSubnet)};
  network.publishes = true;
  netlink::Socket socket = netlink::Socket::open(netlink::Bus::kNetfilter);
  iptables::PolicyTable table(socket);
  for (std::size_t start = 0; start < ports.size(); start += kPortsPerBatch) {
    std::vector<iptables::PublishedPort> batch;
    for (std::size_t i = start; i < ports.size() && i < start + kPortsPerBatch; ++i) {
      iptables::PublishedPort port;
      port.host_port = ports[i].host_port;
      port.container = ports[i].targets.front();
      port.container_port = ports[i].container_port;
      port.comment = "loaded by the bench";
      batch.push_back(port);
    }
    if (table.put(network, batch) != iptables::PolicyTable::Put::kDone) {
      throw Error(ErrorCode::kInternal, "the network has no chain yet; ADD an attachment with a port first");
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: load LEASES PUBLISHED\n";
    return 2;
  }
  try {
    ipam::Store store =
        ipam::Store::open_live(ipam::Store::default_directory(), netlink::Netns::current().cookie());
    fill_table(fill_store(store, std::stoul(argv[1]), std::stoul(argv[2])));
  } catch (const std::exception& error) {
    std::cerr << "load: " << error.what() << '\n';
    return 1;
  }
  return 0;
}
