#include "iptables/policy_elements.hpp"

#include <set>
#include <tuple>

#include "base/error.hpp"
#include "iptables/policy_table.hpp"

namespace netctl::iptables {
namespace {

constexpr unsigned kPortMax = 65535;

std::string describe_port(const PublishedPort& port) {
  std::string text = to_string(port.protocol) + " port " + std::to_string(port.host_port);
  if (port.count > 1) text += "-" + std::to_string(port.host_port + port.count - 1U);
  return text;
}

void validate(const PublishedPort& port) {
  if (port.host_port == 0 || port.container_port == 0 || port.count == 0) {
    throw Error(ErrorCode::kInvalidConfig,
                "a published port needs a host port and a container port from 1 to 65535");
  }
  if (port.host_port + port.count - 1U > kPortMax || port.container_port + port.count - 1U > kPortMax) {
    throw Error(ErrorCode::kInvalidConfig,
                "the range of published ports goes beyond 65535: " + describe_port(port));
  }
  if (port.host_ip && port.host_ip->family() != port.container.family()) {
    throw Error(ErrorCode::kInvalidConfig, "a published port leads from " + port.host_ip->to_string() +
                                               " to " + port.container.to_string() +
                                               ": the two must be of one IP version");
  }
}

bool keeps_numbers(const PublishedPort& port) {
  return port.count > 1 && port.host_port == port.container_port;
}

Element publish_element(const PublishedPort& port, std::uint16_t offset) {
  const bool with_host_ip = port.host_ip && !port.host_ip->is_unspecified();
  const bool is_range = keeps_numbers(port);
  Element element;
  element.set = publish_map(port.container.family(), with_host_ip, is_range);
  if (with_host_ip) append_field(element.key, *port.host_ip);
  append_field(element.key, port.protocol);
  if (is_range) {
    element.key_end = element.key;
    append_field(element.key_end, static_cast<std::uint16_t>(port.host_port + port.count - 1U));
  }
  append_field(element.key, static_cast<std::uint16_t>(port.host_port + offset));
  append_field(element.data, port.container);
  if (!is_range) append_field(element.data, static_cast<std::uint16_t>(port.container_port + offset));
  element.comment = printable_comment(port.comment);
  return element;
}

Element link_element(SetId set, const NetworkPolicy& network) {
  Element element;
  element.set = set;
  for (std::size_t i = 0; i < shape_of(set).key_fields(); ++i) append_field(element.key, network.link);
  element.comment = printable_comment(network.network);
  return element;
}

Element masquerade_element(const NetworkPolicy& network, const IpPrefix& subnet) {
  Element element;
  element.set = masquerade_map(subnet.address.family());
  append_field(element.key, subnet.first());
  append_field(element.key_end, subnet.last());
  element.chain = chain_name(network.network);
  element.comment = printable_comment(network.network);
  return element;
}

struct LinkSet {
  SetId set;
  bool wanted;
};

std::array<LinkSet, 7> link_sets(const NetworkPolicy& network) {
  const bool any = !network.is_empty();
  return {{{SetId::kOwnLinks, any},
           {SetId::kSameLinks, any},
           {SetId::kGuardedLinks, network.publishes},
           {SetId::kIsolatedLinks, network.isolated},
           {SetId::kInternalLinks, network.internal},
           {SetId::kIngressLinks, network.ingress != Ingress::kOpen},
           {SetId::kPartedLinks, network.ingress == Ingress::kIsolated}}};
}

std::vector<Element> link_elements(const NetworkPolicy& network, bool wanted) {
  std::vector<Element> elements;
  if (network.link.empty()) return elements;
  for (const LinkSet& member : link_sets(network)) {
    if (member.wanted == wanted) elements.push_back(link_element(member.set, network));
  }
  return elements;
}

/// Keeps the first of several elements with one key: two ports may lead to the same port of a container.
class Collector {
 public:
  void add(Element element) {
    if (seen_.emplace(element.set, element.key).second) elements_.push_back(std::move(element));
  }
  [[nodiscard]] std::vector<Element> take() { return std::move(elements_); }

 private:
  std::set<std::tuple<SetId, std::vector<std::uint8_t>>> seen_;
  std::vector<Element> elements_;
};

}  // namespace

Element target_of(const PublishedPort& port, std::uint16_t offset) {
  Element element;
  element.set = published_targets(port.container.family());
  append_field(element.key, port.container);
  append_field(element.key, port.protocol);
  append_field(element.key, static_cast<std::uint16_t>(port.container_port + offset));
  element.comment = printable_comment(port.comment);
  return element;
}

std::vector<Element> elements_of(std::span<const PublishedPort> ports) {
  std::vector<Element> elements;
  Collector targets;
  for (const PublishedPort& port : ports) {
    validate(port);
    const unsigned singles = keeps_numbers(port) ? 1U : port.count;
    for (unsigned i = 0; i < singles; ++i)
      elements.push_back(publish_element(port, static_cast<std::uint16_t>(i)));
    for (unsigned i = 0; port.masquerade_local && i < port.count; ++i) {
      targets.add(target_of(port, static_cast<std::uint16_t>(i)));
    }
  }
  for (Element& target : targets.take()) elements.push_back(std::move(target));
  return elements;
}

std::vector<Element> elements_of(const NetworkPolicy& network) {
  std::vector<Element> elements = link_elements(network, true);
  for (const IpPrefix& subnet : network.masquerade) elements.push_back(masquerade_element(network, subnet));
  return elements;
}

std::vector<Element> unwanted_elements_of(const NetworkPolicy& network) {
  return link_elements(network, false);
}

PublishedPort published_port_of(const Element& element) {
  const SetShape& shape = shape_of(element.set);
  const Family family = shape.data[0] == Field::kIpv4 ? Family::kIpv4 : Family::kIpv6;
  const bool with_host_ip = shape.key[0] != Field::kProtocol;
  PublishedPort port;
  FieldReader key(element.key);
  if (with_host_ip) port.host_ip = key.address(family);
  port.protocol = key.protocol();
  port.host_port = key.port();
  FieldReader data(element.data);
  port.container = data.address(family);
  port.container_port = port.host_port;
  if (shape.has_intervals) {
    FieldReader key_end(element.key_end.empty() ? element.key : element.key_end);
    if (with_host_ip) (void)key_end.address(family);
    (void)key_end.protocol();
    port.count = static_cast<std::uint16_t>(key_end.port() - port.host_port + 1);
  } else {
    port.container_port = data.port();
  }
  port.comment = element.comment;
  return port;
}

}  // namespace netctl::iptables
