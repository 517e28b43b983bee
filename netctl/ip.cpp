// Named reservations: an address that waits for its container.

#include <algorithm>

#include "base/error.hpp"
#include "ipam/reservations.hpp"
#include "netctl/print.hpp"
#include "netctl/table.hpp"
#include "netctl/verbs.hpp"

namespace netctl::cli {

void ip_reserve(const std::string& network, const std::string& name,
                const std::vector<std::string>& addresses) {
  ipam::ReservationRecord reservation{network, name, {}};
  for (const std::string& text : addresses) {
    const auto address = IpAddress::parse(text);
    if (!address) throw Error(ErrorCode::kInvalidConfig, "\"" + text + "\" is no IP address");
    reservation.addresses.push_back(*address);
  }
  ipam::Store durable = ipam::Store::open_durable(ipam::Store::default_directory());
  durable.write([&](ipam::Transaction& store) {
    for (const ipam::ReservationRecord& other : ipam::list_reservations(store, network)) {
      for (const IpAddress& address : reservation.addresses) {
        const auto& taken = other.addresses;
        if (other.name == name || std::find(taken.begin(), taken.end(), address) == taken.end()) continue;
        throw Error(ErrorCode::kAddressTaken, address.to_string() + " is reserved for " + other.name +
                                                  " already; run `netctl ip release " + network + " " +
                                                  other.name + "`");
      }
    }
    ipam::put_reservation(store, reservation);
  });
}

void ip_release(const std::string& network, const std::string& name) {
  ipam::Store durable = ipam::Store::open_durable(ipam::Store::default_directory());
  bool found = false;
  durable.write([&](ipam::Transaction& store) { found = ipam::erase_reservation(store, network, name); });
  if (!found) {
    throw Error(ErrorCode::kInvalidConfig,
                "nothing is reserved for " + name + " on network " + network + "; see `netctl ip ls`");
  }
}

void ip_ls(const Output& output, const std::optional<std::string>& network) {
  std::vector<ipam::ReservationRecord> reservations;
  if (const auto durable = ipam::Store::open_durable_if_present(ipam::Store::default_directory())) {
    durable->read(
        [&](const ipam::Transaction& store) { reservations = ipam::list_reservations(store, network); });
  }
  nlohmann::json list = nlohmann::json::array();
  std::vector<std::vector<std::string>> rows;
  for (const ipam::ReservationRecord& reservation : reservations) {
    std::vector<std::string> addresses;
    for (const IpAddress& address : reservation.addresses) addresses.push_back(address.to_string());
    list.push_back({{"network", reservation.network}, {"name", reservation.name}, {"addresses", addresses}});
    rows.push_back({reservation.network, reservation.name, join(addresses)});
  }
  if (output.json) {
    print_json({{"reservations", list}});
  } else {
    print(render({"NETWORK", "NAME", "ADDRESS"}, rows));
  }
}

}  // namespace netctl::cli
