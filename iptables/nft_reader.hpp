#pragma once
// What the table holds right now. find_element() looks up by key; the lists are dumps and not for the hot path.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "iptables/element.hpp"
#include "iptables/table_layout.hpp"
#include "netlink/socket.hpp"

namespace netctl::iptables {

struct ChainState {
  std::string name;
  std::string type;  ///< empty without a hook
  std::uint32_t hook = 0;
  std::int32_t priority = 0;
};

class NftReader {
 public:
  explicit NftReader(netlink::Socket& socket) : socket_(&socket) {}

  [[nodiscard]] bool has_table();
  /// The number that changes with every transaction in this namespace.
  [[nodiscard]] std::uint32_t generation();

  /// The element with exactly this key. In a set with intervals: whatever interval the key's first value lies in.
  /// nullopt also when there is no such set or table.
  [[nodiscard]] std::optional<Element> find_element(const Element& key);
  /// The element is there with its value, and as an interval ends where it should.
  [[nodiscard]] bool holds(const Element& element);

  /// Empty when there is no such set or table.
  [[nodiscard]] std::vector<Element> list_elements(SetId set);
  [[nodiscard]] std::vector<std::string> list_sets();
  [[nodiscard]] std::vector<ChainState> list_chains();
  /// The rules of a chain as text, see describe_expressions.
  [[nodiscard]] std::vector<std::string> list_rules(const std::string& chain);

 private:
  netlink::Socket* socket_;
};

}  // namespace netctl::iptables
