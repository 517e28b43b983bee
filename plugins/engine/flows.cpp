#include "plugins/engine/flows.hpp"

#include <vector>

#include "netlink/conntrack.hpp"

namespace netctl::engine {

void forget_flows_before(Host& host, const std::vector<iptables::PublishedPort>& ports) {
  std::vector<netlink::FlowSelector> selectors;
  for (const iptables::PublishedPort& port : ports) {
    for (unsigned offset = 0; offset < port.count; ++offset) {
      netlink::FlowSelector& flows = selectors.emplace_back();
      flows.family = port.container.family();
      flows.protocol = static_cast<std::uint8_t>(port.protocol);
      flows.original_destination = port.host_ip;
      flows.original_destination_port = static_cast<std::uint16_t>(port.host_port + offset);
      flows.only_untranslated = !port.host_ip;
    }
  }
  if (!selectors.empty()) netlink::forget_flows(host.netfilter(), selectors);
}

void forget_flows_of(Host& host, const IpAddress& container) {
  netlink::FlowSelector from_it;
  from_it.family = container.family();
  from_it.original_source = container;
  netlink::FlowSelector to_it;
  to_it.family = container.family();
  to_it.reply_source = container;
  netlink::forget_flows(host.netfilter(), std::vector{from_it, to_it});
}

}  // namespace netctl::engine
