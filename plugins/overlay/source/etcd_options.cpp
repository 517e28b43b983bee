#include "plugins/overlay/source/etcd_options.hpp"

#include <unistd.h>

#include <fstream>

#include "base/error.hpp"
#include "plugins/cni/config_reader.hpp"
#include "plugins/cni/names.hpp"

namespace netctl::overlay {
namespace {

void read_endpoints(const cni::ConfigReader& source, EtcdOptions& options) {
  for (std::string url : source.texts("endpoints")) {
    if (!url.starts_with("http://") && !url.starts_with("https://")) {
      source.complain("endpoints", "holds \"" + url + "\"; write http://HOST:PORT or https://HOST:PORT");
    }
    while (url.ends_with('/')) url.pop_back();
    options.endpoints.push_back(std::move(url));
  }
  if (options.endpoints.empty()) source.complain("endpoints", "is needed: the URLs of etcd's members");
}

void read_tls(const cni::ConfigReader& source, EtcdOptions& options) {
  options.tls = {source.text("caFile").value_or(""), source.text("certFile").value_or(""),
                 source.text("keyFile").value_or("")};
  if (options.tls.certificate.empty() != options.tls.key.empty()) {
    source.complain("certFile", "and keyFile belong together");
  }
  for (const std::string& file : {options.tls.ca, options.tls.certificate, options.tls.key}) {
    if (!file.empty() && ::access(file.c_str(), R_OK) != 0)
      throw_errno("read " + file, errno, ErrorCode::kIo);
  }
}

}  // namespace

EtcdOptions read_etcd_options(const OverlayConfig& config) {
  const cni::ConfigReader source(config.source_options, "source");
  const auto unknown = source.unknown_keys(
      {"endpoints", "cluster", "caFile", "certFile", "keyFile", "user", "passwordFile", "leaseSeconds"});
  if (!unknown.empty()) {
    throw Error(
        ErrorCode::kUnsupportedField,
        "the key source." + unknown.front() + " is not known to the source etcd; see README for the keys",
        unknown.front());
  }
  EtcdOptions options;
  read_endpoints(source, options);
  options.cluster = source.text("cluster").value_or("default");
  if (!cni::is_valid_identifier(options.cluster)) {
    source.complain("cluster", "is no name (a letter or digit, then letters, digits, '_', '.', '-')");
  }
  read_tls(source, options);
  options.user = source.text("user").value_or("");
  const std::string file = source.text("passwordFile").value_or("");
  if (options.user.empty() != file.empty()) source.complain("user", "and passwordFile belong together");
  if (!file.empty()) {
    std::ifstream stream(file);
    if (!std::getline(stream, options.password))
      throw Error(ErrorCode::kIo, "there is no password in " + file);
  }
  constexpr std::int64_t kLongest = 3600;
  options.lease_seconds = source.integer("leaseSeconds", 2, kLongest).value_or(options.lease_seconds);
  return options;
}

}  // namespace netctl::overlay
