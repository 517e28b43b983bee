// Our messages against those that the real nft sends for the same table (golden/record made them): same types, same
// attributes, same bytes. What nft does otherwise is listed in normalize().

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <libnftnl/udata.h>

#include "iptables/nft_batch.hpp"
#include "iptables/policy_elements.hpp"
#include "iptables/table_batch.hpp"
#include "iptables/tunnel_guard.hpp"
#include "tests/unit/iptables/sample.hpp"

namespace netctl::iptables {
namespace {

using netlink::Attribute;
using netlink::Bytes;

struct Message {
  unsigned type = 0;
  std::vector<std::uint8_t> attributes;
};

std::vector<std::uint8_t> from_hex(const std::string& hex) {
  std::vector<std::uint8_t> bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<std::uint8_t>(std::stoul(hex.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

std::string to_hex(Bytes bytes) {
  std::ostringstream text;
  for (const std::uint8_t byte : bytes)
    text << "0123456789abcdef"[byte >> 4] << "0123456789abcdef"[byte & 15];
  return text.str();
}

std::vector<Message> split(Bytes datagram) {
  std::vector<Message> messages;
  constexpr std::size_t kHeaders = sizeof(nlmsghdr) + sizeof(nfgenmsg);
  while (!datagram.empty()) {
    nlmsghdr header{};
    std::memcpy(&header, datagram.data(), sizeof header);
    const Bytes attributes = datagram.subspan(kHeaders, header.nlmsg_len - kHeaders);
    if (header.nlmsg_type >> 8 == NFNL_SUBSYS_NFTABLES) {
      messages.push_back({header.nlmsg_type & 0xffU, {attributes.begin(), attributes.end()}});
    }
    datagram = datagram.subspan(header.nlmsg_len);
  }
  return messages;
}

std::vector<Message> golden_messages() {
  std::ifstream file(GOLDEN_FOLDER "/table.hex");
  std::string line;
  std::getline(file, line);
  EXPECT_EQ(line.substr(0, 1), "#") << "the first line names the command";
  std::getline(file, line);
  return split(from_hex(line));
}

/// User data is a list of (type, length, bytes). nft stores, besides the types of keys and values, the words in which they
/// were typed ("typeof"); it prints the types when it has no words.
std::vector<std::uint8_t> without_words(Bytes user_data) {
  std::vector<std::uint8_t> kept;
  while (user_data.size() >= 2) {
    const Bytes entry = user_data.first(std::min<std::size_t>(2U + user_data[1], user_data.size()));
    const bool is_words = entry[0] == NFTNL_UDATA_SET_KEY_TYPEOF || entry[0] == NFTNL_UDATA_SET_DATA_TYPEOF;
    if (!is_words) kept.insert(kept.end(), entry.begin(), entry.end());
    user_data = user_data.subspan(entry.size());
  }
  return kept;
}

/// nft numbers sets within a batch; the names do as well.
bool is_set_number(unsigned message, unsigned attribute) {
  return (message == NFT_MSG_NEWSETELEM && attribute == NFTA_SET_ELEM_LIST_SET_ID) ||
         (message == NFT_MSG_NEWSET && attribute == NFTA_SET_ID);
}

/// nft begins a set of intervals with the end of one that nobody started: its key is 0.
bool is_first_end(const std::string& element) {
  return element.find("0800030000000001") == 0 && element.find_first_not_of('0', 32) == std::string::npos;
}

/// A rule is a list of (name, data). Without the number of a looked-up set, and without turning the protocol number's only
/// byte round, as nft does before it looks into a map with intervals.
std::string describe_rule(Bytes expressions) {
  std::string text;
  for (const Attribute& expression : netlink::parse_attributes(expressions)) {
    const std::string name = netlink::find_attribute(expression.payload, NFTA_EXPR_NAME).value().text();
    if (name == "byteorder") continue;
    text += "[" + name;
    const std::optional<Attribute> data = netlink::find_attribute(expression.payload, NFTA_EXPR_DATA);
    for (const Attribute& field :
         data ? netlink::parse_attributes(data->payload) : std::vector<Attribute>{}) {
      if (name == "lookup" && field.type == NFTA_LOOKUP_SET_ID) continue;
      text += " " + std::to_string(field.type) + "=" + to_hex(field.payload);
    }
    text += "]";
  }
  return text;
}

/// "10: 1=6e65... 3=..." with the attributes in the order of their numbers; each element makes a line of its own.
void normalize(const Message& message, std::multiset<std::string>& lines) {
  std::map<unsigned, std::string> fields;
  Bytes elements;
  for (const Attribute& attribute : netlink::parse_attributes(message.attributes)) {
    if (is_set_number(message.type, attribute.type)) continue;
    if (message.type == NFT_MSG_NEWSETELEM && attribute.type == NFTA_SET_ELEM_LIST_ELEMENTS) {
      elements = attribute.payload;
    } else if (message.type == NFT_MSG_NEWSET && attribute.type == NFTA_SET_USERDATA) {
      fields[attribute.type] = to_hex(without_words(attribute.payload));
    } else if (message.type == NFT_MSG_NEWRULE && attribute.type == NFTA_RULE_EXPRESSIONS) {
      fields[attribute.type] = describe_rule(attribute.payload);
    } else {
      fields[attribute.type] = to_hex(attribute.payload);
    }
  }
  std::string line = std::to_string(message.type) + ":";
  for (const auto& [type, payload] : fields) line += " " + std::to_string(type) + "=" + payload;
  if (message.type != NFT_MSG_NEWSETELEM) lines.insert(line);
  for (const Attribute& element : netlink::parse_attributes(elements)) {
    const std::string hex = to_hex(element.payload);
    if (!is_first_end(hex)) lines.insert(line + " " + hex);
  }
}

std::multiset<std::string> normalized(const std::vector<Message>& messages) {
  std::multiset<std::string> lines;
  for (const Message& message : messages) {
    if (message.type != NFT_MSG_DELRULE) normalize(message, lines);
  }
  return lines;
}

TEST(GoldenTable, OurMessagesAreThoseOfNft) {
  NetworkPolicy network = sample::network();
  NftBatch batch;
  add_base(batch);
  add_network(batch, network);
  batch.add_elements(elements_of(sample::ports()));
  batch.add_elements(elements_of(sample::tunnels()));
  ASSERT_GT(golden_messages().size(), 80U);
  EXPECT_THAT(normalized(split(batch.bytes())), ::testing::ContainerEq(normalized(golden_messages())));
}

}  // namespace
}  // namespace netctl::iptables
