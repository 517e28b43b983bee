#include "plugins/host-device/host_device_config.hpp"

#include "base/error.hpp"
#include "plugins/cni/names.hpp"
#include "plugins/engine/link_config.hpp"

namespace netctl::host_device {
namespace {

constexpr std::string_view kDevices = "/sys/devices/";

/// No step of it may lead out of /sys/devices again.
bool is_below_devices(const std::string& path) {
  if (path.rfind(kDevices, 0) != 0) return false;
  return (path + "/").find("/../") == std::string::npos;
}

std::string read_bus_id(const cni::ConfigReader& config, std::string_view key) {
  const std::string id = config.text(key).value_or("");
  if (!id.empty() && !cni::is_plain_file_name(id)) {
    config.complain(key, "is neither a PCI address such as 0000:00:1f.6 nor an auxiliary device's name");
  }
  return id;
}

std::string requested_device(const cni::Invocation& invocation) {
  const nlohmann::json* keys = cni::ConfigReader(invocation.config, "").raw("runtimeConfig");
  if (keys == nullptr) return {};
  return read_bus_id(cni::ConfigReader(*keys, "runtimeConfig", cni::KeyCase::kIgnore), "deviceID");
}

engine::HostDevice read_spec(const cni::Invocation& invocation) {
  const cni::ConfigReader config(invocation.config, "");
  engine::HostDevice spec;
  spec.device = engine::read_interface_name(config, "device").value_or("");
  if (const auto mac = config.mac("hwaddr")) spec.mac = mac->to_string();
  spec.kernel_path = config.text("kernelpath").value_or("");
  if (!spec.kernel_path.empty() && !is_below_devices(spec.kernel_path)) {
    config.complain("kernelpath", "kernel device path must be absolute and begin with /sys/devices/");
  }
  spec.bus_id = read_bus_id(config, "pciBusID");
  const std::string requested = requested_device(invocation);
  if (!requested.empty()) spec.bus_id = requested;
  spec.userspace_driver =
      cni::ConfigReader(invocation.config, "", cni::KeyCase::kIgnore).boolean("dpdkmode").value_or(false);
  if (spec.device.empty() && spec.mac.empty() && spec.kernel_path.empty() && spec.bus_id.empty()) {
    config.complain("device", R"(specify either "device", "hwaddr", "kernelpath" or "pciBusID")");
  }
  return spec;
}

void refuse(const std::string& key, const std::string& reason) {
  throw Error(ErrorCode::kUnsupportedField, "the key " + key + " is not offered by host-device: " + reason,
              key);
}

}  // namespace

engine::AttachmentRequest read_request(const cni::Invocation& invocation) {
  const cni::RuntimeConfig runtime = cni::read_runtime_config(invocation);
  engine::AttachmentRequest request = engine::read_link_request(invocation, runtime, "host-device", {});
  request.link = read_spec(invocation);
  request.endpoint.mac.reset();  // the device's own
  request.network.mtu_bytes = 0;
  if (runtime.mac && invocation.args.find("MAC").value_or("").empty())
    refuse("runtimeConfig.mac", "the device keeps its address; chain the plugin tuning to change it");
  if (!runtime.port_mappings.empty())
    refuse("runtimeConfig.portMappings", "the host does not see the device's packets; leave the ports out");
  return request;
}

}  // namespace netctl::host_device
