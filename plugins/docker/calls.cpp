#include "plugins/docker/calls.hpp"

#include <vector>

#include "plugins/docker/ipam_driver.hpp"
#include "plugins/docker/network_driver.hpp"

namespace netctl::docker {
namespace {

/// Docker's first call after its own start, and only then.
nlohmann::json activate(const nlohmann::json&) {
  engine::Host host = engine::Host::open();
  forget_unfinished(host);
  return {{"Implements", nlohmann::json::array({"NetworkDriver", "IpamDriver"})}};
}

nlohmann::json nothing(const nlohmann::json&) { return nlohmann::json::object(); }

}  // namespace

const Call* find_call(const std::string& path) {
  static const std::vector<Call> kCalls{
      {"/Plugin.Activate", activate},
      {"/NetworkDriver.GetCapabilities", network_capabilities},
      {"/NetworkDriver.GwAllocCheck", check_gateway_allocation},
      {"/NetworkDriver.CreateNetwork", create_network},
      {"/NetworkDriver.DeleteNetwork", delete_network},
      {"/NetworkDriver.CreateEndpoint", create_endpoint},
      {"/NetworkDriver.DeleteEndpoint", delete_endpoint},
      {"/NetworkDriver.EndpointOperInfo", endpoint_information},
      {"/NetworkDriver.Join", join},
      {"/NetworkDriver.Leave", leave},
      {"/NetworkDriver.ProgramExternalConnectivity", publish_ports},
      {"/NetworkDriver.RevokeExternalConnectivity", withdraw_ports},
      {"/NetworkDriver.DiscoverNew", nothing},
      {"/NetworkDriver.DiscoverDelete", nothing},
      {"/IpamDriver.GetCapabilities", ipam_capabilities},
      {"/IpamDriver.GetDefaultAddressSpaces", address_spaces},
      {"/IpamDriver.RequestPool", request_pool},
      {"/IpamDriver.ReleasePool", release_pool},
      {"/IpamDriver.RequestAddress", request_address},
      {"/IpamDriver.ReleaseAddress", release_address},
  };
  for (const Call& call : kCalls) {
    if (call.path == path) return &call;
  }
  return nullptr;
}

}  // namespace netctl::docker
