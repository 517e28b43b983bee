#pragma once
// A message as a map from paths of attribute numbers to bytes: what two messages have to have in common to mean the same.

#include <linux/netlink.h>

#include <cstring>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "netlink/message.hpp"

namespace netctl::netlink {

using Tree = std::map<std::string, std::vector<std::uint8_t>>;

/// Attributes that hold attributes, by their path of numbers; the value is the size of the header that comes first.
using Nests = std::map<std::string, std::size_t>;
using Texts = std::set<std::string>;

inline void flatten(Bytes attributes, const std::string& path, const Nests& nests, const Texts& texts,
                    Tree& tree) {
  for (const Attribute& attribute : parse_attributes(attributes)) {
    const std::string here = path + "/" + std::to_string(attribute.type);
    std::vector<std::uint8_t> payload(attribute.payload.begin(), attribute.payload.end());
    const auto nest = nests.find(here);
    if (nest != nests.end()) {
      tree[here + "/header"] = {payload.begin(), payload.begin() + static_cast<std::ptrdiff_t>(nest->second)};
      flatten(attribute.payload.subspan(nest->second), here, nests, texts, tree);
      continue;
    }
    if (texts.contains(here) && !payload.empty() && payload.back() == 0) payload.pop_back();
    tree[here] = payload;
  }
}

/// Everything of a message that the kernel looks at, except sequence and port.
inline Tree tree_of(Bytes message, std::size_t header_size, const Nests& nests, const Texts& texts) {
  nlmsghdr header{};
  std::memcpy(&header, message.data(), sizeof header);
  EXPECT_EQ(header.nlmsg_len, message.size());
  Tree tree;
  tree["type"] = {static_cast<std::uint8_t>(header.nlmsg_type)};
  tree["flags"] = {static_cast<std::uint8_t>(header.nlmsg_flags >> 8),
                   static_cast<std::uint8_t>(header.nlmsg_flags)};
  const Bytes family = message.subspan(sizeof header, header_size);
  tree["header"] = {family.begin(), family.end()};
  flatten(message.subspan(sizeof header + header_size), "", nests, texts, tree);
  return tree;
}

}  // namespace netctl::netlink
