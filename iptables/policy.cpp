#include "iptables/policy.hpp"

#include <algorithm>
#include <array>
#include <cctype>

namespace netctl::iptables {
namespace {

struct NamedProtocol {
  Protocol protocol;
  std::string_view name;
};
constexpr std::array kProtocols{NamedProtocol{Protocol::kTcp, "tcp"}, NamedProtocol{Protocol::kUdp, "udp"},
                                NamedProtocol{Protocol::kSctp, "sctp"}};

struct NamedIngress {
  Ingress ingress;
  std::string_view name;
};
constexpr std::array kIngressPolicies{NamedIngress{Ingress::kOpen, "open"},
                                      NamedIngress{Ingress::kSameBridge, "same-bridge"},
                                      NamedIngress{Ingress::kIsolated, "isolated"}};

bool equal_but_for_case(std::string_view text, std::string_view lower_case) {
  return std::equal(text.begin(), text.end(), lower_case.begin(), lower_case.end(), [](char a, char b) {
    return std::tolower(static_cast<unsigned char>(a)) == static_cast<unsigned char>(b);
  });
}

}  // namespace

std::string to_string(Protocol protocol) {
  for (const NamedProtocol& known : kProtocols) {
    if (known.protocol == protocol) return std::string(known.name);
  }
  return std::to_string(static_cast<unsigned>(protocol));
}

std::optional<Protocol> parse_protocol(std::string_view text) {
  for (const NamedProtocol& known : kProtocols) {
    if (equal_but_for_case(text, known.name)) return known.protocol;
  }
  return std::nullopt;
}

std::string to_string(Ingress ingress) {
  return std::string(kIngressPolicies.at(static_cast<std::size_t>(ingress)).name);
}

std::optional<Ingress> parse_ingress(std::string_view text) {
  if (text.empty()) return Ingress::kOpen;
  for (const NamedIngress& known : kIngressPolicies) {
    if (text == known.name) return known.ingress;
  }
  return std::nullopt;
}

}  // namespace netctl::iptables
