#include "plugins/engine/links/device_lookup.hpp"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>

#include "base/error.hpp"

namespace netctl::engine::links {
namespace {

// Drivers that hand the hardware to a process: the kernel has no interface for it.
constexpr std::array<std::string_view, 3> kUserspaceDrivers{"vfio-pci", "uio_pci_generic", "igb_uio"};
constexpr const char* kBuses[] = {"/sys/bus/pci/devices/", "/sys/bus/auxiliary/devices/"};

[[noreturn]] void complain(const char* key, const std::string& problem) {
  throw Error(ErrorCode::kInvalidConfig, std::string(key) + ": " + problem);
}

std::vector<std::string> entries_of(const std::string& folder) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(folder.c_str()), ::closedir);
  while (const dirent* entry = directory ? ::readdir(directory.get()) : nullptr) {
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

/// Below FOLDER/net, or below that of a virtio device that sits between.
std::optional<netlink::Link> find_below(Host& host, const std::string& folder) {
  std::vector<std::string> places{folder};
  for (const std::string& name : entries_of(folder)) {
    if (name.rfind("virtio", 0) == 0) places.push_back(folder + "/" + name);
  }
  for (const std::string& place : places) {
    for (const std::string& name : entries_of(place + "/net")) {
      if (auto link = netlink::find_link(host.route(), name)) return link;
    }
  }
  return std::nullopt;
}

std::string driver_of(const std::string& folder) {
  std::array<char, 4096> target{};
  const ssize_t size = ::readlink((folder + "/driver").c_str(), target.data(), target.size() - 1);
  const std::string text(target.data(), size > 0 ? static_cast<std::size_t>(size) : 0U);
  return text.substr(text.find_last_of('/') + 1);
}

std::optional<netlink::Link> find_by_bus_id(Host& host, HostDevice& spec) {
  for (const char* bus : kBuses) {
    const std::string folder = bus + spec.bus_id;
    if (::access(folder.c_str(), F_OK) != 0) continue;
    const std::string driver = driver_of(folder);
    if (std::find(kUserspaceDrivers.begin(), kUserspaceDrivers.end(), driver) != kUserspaceDrivers.end()) {
      spec.userspace_driver = true;
      return std::nullopt;
    }
    if (auto link = find_below(host, folder)) return link;
    complain("pciBusID", spec.bus_id + " has no network interface on the host" +
                             (driver.empty() ? std::string(", and no driver") : "; its driver is " + driver));
  }
  complain("pciBusID", "there is no PCI or auxiliary device " + spec.bus_id +
                           "; `ls /sys/bus/pci/devices` lists what there is");
}

std::optional<netlink::Link> find_by_mac(Host& host, const HostDevice& spec) {
  const auto mac = MacAddress::parse(spec.mac);
  for (netlink::Link& link : netlink::list_links(host.route())) {
    if (mac && link.mac == mac) return std::move(link);
  }
  complain("hwaddr", "no interface of the host has the address " + spec.mac);
}

}  // namespace

std::optional<netlink::Link> find_device(Host& host, HostDevice& spec) {
  if (!spec.device.empty()) {
    auto link = netlink::find_link(host.route(), spec.device);
    if (link) return link;
    complain("device", "the host has no interface " + spec.device + "; `ip link` lists what there is");
  }
  if (!spec.mac.empty()) return find_by_mac(host, spec);
  if (!spec.kernel_path.empty()) {
    if (auto link = find_below(host, spec.kernel_path)) return link;
    complain("kernelpath", "no interface of the host is found below " + spec.kernel_path + "/net");
  }
  return find_by_bus_id(host, spec);
}

}  // namespace netctl::engine::links
