#include "plugins/frontdoor/publish_option.hpp"

#include <charconv>

#include "base/error.hpp"
#include "base/ip_address.hpp"
#include "iptables/policy.hpp"

namespace netctl::frontdoor {
namespace {

struct Ports {
  unsigned first = 0;
  unsigned count = 1;
};

[[noreturn]] void complain(const std::string& text, const std::string& problem) {
  throw Error(ErrorCode::kInvalidConfig,
              "-p " + text + ": " + problem + "; write it as [HOSTIP:][HOST:]CONTAINER[/tcp|udp|sctp]");
}

unsigned parse_number(const std::string& text, std::string_view digits) {
  constexpr unsigned kHighestPort = 65535;
  unsigned number = 0;
  const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (failure != std::errc{} || end != digits.data() + digits.size() || number > kHighestPort) {
    complain(text, "\"" + std::string(digits) + "\" is no port");
  }
  return number;
}

Ports parse_ports(const std::string& text, std::string_view part) {
  const std::size_t dash = part.find('-');
  if (dash == std::string_view::npos) return {parse_number(text, part), 1};
  const unsigned first = parse_number(text, part.substr(0, dash));
  const unsigned last = parse_number(text, part.substr(dash + 1));
  if (first == 0 || last < first) complain(text, "the range ends before it begins");
  return {first, last - first + 1};
}

}  // namespace

std::vector<nlohmann::json> parse_publish(const std::string& text) {
  std::string rest = text;
  std::string protocol = "tcp";
  if (const std::size_t slash = rest.rfind('/'); slash != std::string::npos) {
    protocol = rest.substr(slash + 1);
    rest.resize(slash);
  }
  if (!iptables::parse_protocol(protocol)) complain(text, "\"" + protocol + "\" is no protocol");
  const std::size_t last_colon = rest.rfind(':');
  const Ports container = parse_ports(text, std::string_view(rest).substr(last_colon + 1));
  if (container.first == 0) complain(text, "the container's port cannot be 0");
  Ports host{0, container.count};
  std::string host_ip;
  if (last_colon != std::string::npos) {
    rest.resize(last_colon);
    const std::size_t host_colon = rest.rfind(':');
    const std::string host_part = host_colon == std::string::npos ? rest : rest.substr(host_colon + 1);
    if (host_colon != std::string::npos) host_ip = rest.substr(0, host_colon);
    if (!host_part.empty()) host = parse_ports(text, host_part);
  }
  if (host.count != container.count) complain(text, "the two ranges differ in length");
  if (host_ip.size() > 2 && host_ip.front() == '[' && host_ip.back() == ']')
    host_ip = host_ip.substr(1, host_ip.size() - 2);
  if (!host_ip.empty() && !IpAddress::parse(host_ip)) complain(text, "\"" + host_ip + "\" is no address");
  nlohmann::json mapping = {
      {"hostPort", host.first}, {"containerPort", container.first}, {"protocol", protocol}};
  if (!host_ip.empty()) mapping["hostIP"] = host_ip;
  if (host.count > 1) mapping["range"] = host.count;
  return {mapping};
}

}  // namespace netctl::frontdoor
