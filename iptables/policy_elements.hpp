#pragma once
// Intent <-> elements: what a published port and a network mean in sets and maps, and what an element of them says.

#include <optional>
#include <span>
#include <vector>

#include "iptables/element.hpp"
#include "iptables/policy.hpp"

namespace netctl::iptables {

/// The elements that publish these ports, each key once. A range that keeps its numbers is one interval in the map;
/// anything else is one element a port. Errors: kInvalidConfig for port 0, a range beyond 65535, mixed families.
[[nodiscard]] std::vector<Element> elements_of(std::span<const PublishedPort> ports);

/// The elements that a network needs.
[[nodiscard]] std::vector<Element> elements_of(const NetworkPolicy& network);

/// Elements of the network's link in sets where its policy does not want it (it was isolated before, ...).
[[nodiscard]] std::vector<Element> unwanted_elements_of(const NetworkPolicy& network);

/// The port that an element of a publish map stands for. masquerade_local is left true.
[[nodiscard]] PublishedPort published_port_of(const Element& element);

/// The target element that belongs to a port with masquerade_local; `offset` counts within its range.
[[nodiscard]] Element target_of(const PublishedPort& port, std::uint16_t offset);

}  // namespace netctl::iptables
