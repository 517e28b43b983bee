#pragma once
// Sets and elements <-> libnftnl.

#include <memory>
#include <span>
#include <vector>

#include "iptables/element.hpp"

struct nftnl_set;
struct nlmsghdr;

namespace netctl::iptables {

struct SetDeleter {
  void operator()(nftnl_set* set) const;
};
using SetPointer = std::unique_ptr<nftnl_set, SetDeleter>;

/// The declaration of a set: types, flags, and what `nft list` needs to print it as people would write it.
[[nodiscard]] SetPointer make_set(const SetShape& shape);

/// A set that only names itself and holds these elements, for NFT_MSG_{NEW,DEL}SETELEM. All are of one set.
[[nodiscard]] SetPointer make_elements(std::span<const Element> elements);

/// An upper bound for the bytes that this element takes in a message.
[[nodiscard]] std::size_t wire_size_bound(const Element& element);

/// The elements of a NFT_MSG_NEWSETELEM message, appended to `elements`; intervals of sets with a single field come in two
/// parts, which join_intervals() puts together.
struct ElementPart {
  Element element;
  bool ends_interval = false;
};
void parse_elements(const nlmsghdr* message, SetId set, std::vector<ElementPart>& parts);
[[nodiscard]] std::vector<Element> join_intervals(std::vector<ElementPart> parts);

/// The first key behind an interval; empty when the interval reaches the end of the address space.
[[nodiscard]] std::vector<std::uint8_t> key_behind(std::vector<std::uint8_t> last_key);

}  // namespace netctl::iptables
