// `static`: addresses as the configuration has them, as a stand-alone IPAM executable. Keeps no records and changes nothing.

#include <algorithm>

#include "base/error.hpp"
#include "plugins/cni/plugin.hpp"
#include "plugins/engine/static_config.hpp"

namespace netctl::static_ipam {
namespace {

engine::AddressingSpec read_addressing(const cni::Invocation& invocation) {
  invocation.args.reject_unknown({"IP", "GATEWAY", "MAC"});  // the main plugin's MAC reaches its IPAM too
  return engine::read_static_addressing(invocation);
}

cni::Result add(const cni::Invocation& invocation) {
  const engine::AddressingSpec addressing = read_addressing(invocation);
  cni::Result result;
  for (const ipam::LeaseRecord& held : addressing.fixed) {
    result.ips.push_back({held.address, held.gateway, std::nullopt});
  }
  result.routes = addressing.routes;
  result.dns = addressing.dns;
  return result;
}

void del(const cni::Invocation&) {}

/// Every address of the configuration is in what the main plugin reported, with its gateway.
void check(const cni::Invocation& invocation) {
  for (const ipam::LeaseRecord& held : read_addressing(invocation).fixed) {
    const std::vector<cni::ResultIp>& ips = invocation.prev_result->ips;
    const bool reported = std::any_of(ips.begin(), ips.end(), [&held](const cni::ResultIp& ip) {
      return ip.address.address == held.address.address && (!held.gateway || ip.gateway == held.gateway);
    });
    if (reported) continue;
    throw Error(ErrorCode::kDrift, "static: Failed to match addr " + held.address.address.to_string() +
                                       " on interface " + invocation.ifname +
                                       "; prevResult has another one, run DEL and ADD again");
  }
}

void status(const cni::Invocation& invocation) { (void)read_addressing(invocation); }

}  // namespace
}  // namespace netctl::static_ipam

int main(int argc, char** argv) {
  using namespace netctl;
  const cni::Plugin plugin{.name = "static",
                           .about = "hands out the addresses that the configuration names",
                           .add = static_ipam::add,
                           .del = static_ipam::del,
                           .check = static_ipam::check,
                           .gc = {},
                           .status = static_ipam::status,
                           .undo_add = static_ipam::del,
                           .plan = {}};
  return cni::run_process(plugin, argc, argv);
}
