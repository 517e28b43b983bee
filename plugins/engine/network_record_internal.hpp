#pragma once
// The keys of a network's record beside its fields.

#include <algorithm>
#include <vector>

namespace netctl::engine {

inline constexpr const char* kBridgeIndex = "bridgeIndex";
inline constexpr const char* kBridgeMac = "bridgeMac";
inline constexpr const char* kGateways = "gateways";
inline constexpr const char* kSysctls = "sysctls";
inline constexpr const char* kAddedGateways = "addedGateways";
inline constexpr const char* kLeaving = "leaving";
inline constexpr const char* kSettled = "settled";
inline constexpr const char* kFiltersVlans = "filtersVlans";
inline constexpr const char* kKeepsDefaultVlan = "keepsDefaultVlan";
inline constexpr const char* kGatewayLink = "gatewayLink";
inline constexpr const char* kGatewayMac = "gatewayMac";
inline constexpr const char* kLocalhostPublish = "localhostPublish";

template <class T>
void add_missing(std::vector<T>& list, const std::vector<T>& more) {
  for (const T& item : more) {
    if (std::find(list.begin(), list.end(), item) == list.end()) list.push_back(item);
  }
}

}  // namespace netctl::engine
