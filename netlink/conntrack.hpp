#pragma once
// Exact deletes of connection tracking entries: those of one published port, or of one container, whoever the client was.
//
// CTA_FILTER lets the kernel pick the entries itself (net/netfilter/nf_conntrack_netlink.c), with three traps:
//  - IPv6 addresses are compared the wrong way round (seen up to Linux 6.18): asked for one address, the kernel deletes
//    the entries of all others;
//  - ports are compared for TCP and UDP only: asked for one SCTP port, it deletes the entries of all;
//  - dumps understand it since Linux 5.8, deletes only since 2024; before, a delete is refused and deletes nothing.
// In these cases the entries are dumped, compared here, and deleted one by one by their full tuple and id.

#include <cstdint>
#include <optional>
#include <span>

#include "base/ip_address.hpp"
#include "netlink/socket.hpp"

namespace netctl::netlink {

/// Which flows are meant: those that agree with every field that is set. "Original" is the direction of the first
/// packet, "reply" the other one, after translation: the reply's source is the container. Ports are in host order.
struct FlowSelector {
  Family family = Family::kIpv4;
  std::optional<std::uint8_t> protocol = {};  ///< IPPROTO_*; has to be set where a port is
  std::optional<IpAddress> original_source = {};
  std::optional<IpAddress> original_destination = {};
  std::optional<std::uint16_t> original_destination_port = {};
  std::optional<IpAddress> reply_source = {};
  std::optional<std::uint16_t> reply_source_port = {};
  /// Only flows that no NAT has touched. With a port and no address, this keeps the masqueraded connections of all
  /// containers to that port of other machines.
  bool only_untranslated = false;
};

/// Deletes the entries of `netfilter`'s namespace (a kNetfilter socket) that one of the selectors means. No such entry is
/// success. Costs nothing while nothing is tracked, else a walk through the kernel's table for each selector (0.3 ms for
/// 262,144 buckets), and one dump (5 ms) for all selectors of the cases above together. Errors: kKernel; kInternal for a
/// selector that names neither address nor port.
void forget_flows(Socket& netfilter, std::span<const FlowSelector> selectors);
void forget_flows(Socket& netfilter, const FlowSelector& selector);

}  // namespace netctl::netlink
