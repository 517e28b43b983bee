#include "iptables/nft_reader.hpp"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>

#include <libnftnl/chain.h>
#include <libnftnl/rule.h>

#include "base/error.hpp"
#include "iptables/nft_message_internal.hpp"
#include "iptables/nft_rule.hpp"
#include "iptables/nft_set.hpp"
#include "iptables/policy_table.hpp"

namespace netctl::iptables {
namespace {

using netlink::Attr;
using netlink::Bytes;
using netlink::Reply;
using netlink::Request;

constexpr Attr<NFTA_TABLE_NAME, std::string_view> kTableNameAttr;
constexpr Attr<NFTA_SET_TABLE, std::string_view> kSetTable;
constexpr Attr<NFTA_SET_ELEM_LIST_TABLE, std::string_view> kListTable;
constexpr Attr<NFTA_SET_ELEM_LIST_SET, std::string_view> kListSet;
constexpr Attr<NFTA_RULE_TABLE, std::string_view> kRuleTable;
constexpr Attr<NFTA_RULE_CHAIN, std::string_view> kRuleChain;
constexpr Attr<NFTA_DATA_VALUE, Bytes> kDataValue;

Request make_request(unsigned message, std::string doing) {
  return list_request(message, NFPROTO_INET, std::move(doing));
}

bool has_split_intervals(SetId set) { return shape_of(set).has_intervals && shape_of(set).key_fields() == 1; }

void put_data(Request& request, std::uint16_t type, const std::vector<std::uint8_t>& bytes) {
  request.nest(type, [&](Request& nested) { nested.put(kDataValue, bytes); });
}

}  // namespace

bool NftReader::has_table() {
  Request request = make_request(NFT_MSG_GETTABLE, "look for table inet netctl");
  request.put(kTableNameAttr, kTableName);
  return socket_->get(request).has_value();
}

std::uint32_t NftReader::generation() {
  const std::optional<Reply> reply =
      socket_->get(make_request(NFT_MSG_GETGEN, "read the generation of nf_tables"));
  if (reply) {
    if (const auto id = netlink::find_attribute(reply->attributes<nfgenmsg>(), NFTA_GEN_ID))
      return id->be32();
  }
  throw Error(ErrorCode::kKernel, "the kernel does not tell the generation of nf_tables");
}

std::optional<Element> NftReader::find_element(const Element& key) {
  Request request = make_request(NFT_MSG_GETSETELEM, std::string("look into set ") + shape_of(key.set).name);
  request.put(kListTable, kTableName).put(kListSet, shape_of(key.set).name);
  request.nest(NFTA_SET_ELEM_LIST_ELEMENTS, [&](Request& list) {
    list.nest(NFTA_LIST_ELEM, [&](Request& elem) {
      put_data(elem, NFTA_SET_ELEM_KEY, key.key);
      if (shape_of(key.set).has_intervals && !has_split_intervals(key.set)) {
        put_data(elem, NFTA_SET_ELEM_KEY_END, key.key_end);
      }
    });
  });
  const std::optional<Reply> reply = socket_->get(request);
  if (!reply) return std::nullopt;
  std::vector<ElementPart> parts;
  parse_elements(as_header(whole_message(*reply)), key.set, parts);
  if (parts.empty()) return std::nullopt;
  return parts.front().element;
}

bool NftReader::holds(const Element& element) {
  if (has_split_intervals(element.set)) {
    for (const Element& other : list_elements(element.set)) {
      if (other.has_same_key(element)) return other.has_same_value(element);
    }
    return false;
  }
  const std::optional<Element> found = find_element(element);
  return found && found->has_same_key(element) && found->has_same_value(element);
}

std::vector<Element> NftReader::list_elements(SetId set) {
  Request request = make_request(NFT_MSG_GETSETELEM, std::string("list set ") + shape_of(set).name);
  request.put(kListTable, kTableName).put(kListSet, shape_of(set).name);
  std::vector<ElementPart> parts;
  for (const Reply& reply : socket_->dump(request))
    parse_elements(as_header(whole_message(reply)), set, parts);
  if (has_split_intervals(set)) return join_intervals(std::move(parts));
  std::vector<Element> elements;
  elements.reserve(parts.size());
  for (ElementPart& part : parts) elements.push_back(std::move(part.element));
  return elements;
}

std::vector<std::string> NftReader::list_sets() {
  Request request = make_request(NFT_MSG_GETSET, "list the sets of table inet netctl");
  request.put(kSetTable, kTableName);
  std::vector<std::string> names;
  for (const Reply& reply : socket_->dump(request)) {
    if (const auto name = netlink::find_attribute(reply.attributes<nfgenmsg>(), NFTA_SET_NAME)) {
      names.push_back(name->text());
    }
  }
  return names;
}

std::vector<ChainState> NftReader::list_chains() {
  std::vector<ChainState> chains;
  // The kernel has no filter by table here.
  for (const Reply& reply :
       socket_->dump(make_request(NFT_MSG_GETCHAIN, "list the chains of table inet netctl"))) {
    const std::vector<std::uint8_t> message = whole_message(reply);
    const std::unique_ptr<nftnl_chain, decltype(&nftnl_chain_free)> chain(nftnl_chain_alloc(),
                                                                          &nftnl_chain_free);
    if (!chain) throw std::bad_alloc();
    if (nftnl_chain_nlmsg_parse(as_header(message), chain.get()) < 0) {
      throw Error(ErrorCode::kKernel, "could not read the list of chains");
    }
    if (std::strcmp(nftnl_chain_get_str(chain.get(), NFTNL_CHAIN_TABLE), kTableName) != 0) continue;
    ChainState state;
    state.name = nftnl_chain_get_str(chain.get(), NFTNL_CHAIN_NAME);
    if (nftnl_chain_is_set(chain.get(), NFTNL_CHAIN_TYPE)) {
      state.type = nftnl_chain_get_str(chain.get(), NFTNL_CHAIN_TYPE);
      state.hook = nftnl_chain_get_u32(chain.get(), NFTNL_CHAIN_HOOKNUM);
      state.priority = nftnl_chain_get_s32(chain.get(), NFTNL_CHAIN_PRIO);
    }
    chains.push_back(std::move(state));
  }
  return chains;
}

std::vector<std::string> NftReader::list_rules(const std::string& chain) {
  Request request = make_request(NFT_MSG_GETRULE, "list the rules of chain " + chain);
  request.put(kRuleTable, kTableName).put(kRuleChain, chain);
  std::vector<std::string> rules;
  for (const Reply& reply : socket_->dump(request)) {
    const std::vector<std::uint8_t> message = whole_message(reply);
    const RulePointer rule(nftnl_rule_alloc());
    if (!rule) throw std::bad_alloc();
    if (nftnl_rule_nlmsg_parse(as_header(message), rule.get()) < 0) {
      throw Error(ErrorCode::kKernel, "could not read the rules of chain " + chain);
    }
    rules.push_back(describe_expressions(rule.get()));
  }
  return rules;
}

}  // namespace netctl::iptables
