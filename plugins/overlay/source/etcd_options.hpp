#pragma once

#include <string>
#include <vector>

#include "plugins/overlay/overlay_config.hpp"
#include "plugins/overlay/source/http_client.hpp"

namespace netctl::overlay {

/// The object `source` of a configuration whose type is etcd.
struct EtcdOptions {
  std::vector<std::string> endpoints;  ///< http://HOST:PORT or https://..., without a slash at the end
  std::string cluster;                 ///< part of every key: several sets of nodes can share one etcd
  TlsFiles tls;
  std::string user, password;
  std::int64_t lease_seconds = 30;  ///< after which a node that is not heard of counts as not alive
};

/// Errors: kInvalidConfig, kUnsupportedField (a key that is not known), kIo (passwordFile).
[[nodiscard]] EtcdOptions read_etcd_options(const OverlayConfig& config);

}  // namespace netctl::overlay
