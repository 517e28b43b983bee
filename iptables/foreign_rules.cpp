#include "iptables/foreign_rules.hpp"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/xt_comment.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>

#include <libnftnl/chain.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/udata.h>

#include "base/error.hpp"
#include "iptables/nft_batch.hpp"
#include "iptables/nft_message_internal.hpp"
#include "iptables/nft_rule.hpp"

namespace netctl::iptables {
namespace {

using netlink::Attr;
using netlink::Reply;
using netlink::Request;

constexpr Attr<NFTA_RULE_TABLE, std::string_view> kRuleTable;

std::string text_or_empty(const char* text) { return text == nullptr ? std::string() : std::string(text); }

ForeignChain read_chain(const Reply& reply) {
  const std::vector<std::uint8_t> message = whole_message(reply);
  const std::unique_ptr<nftnl_chain, decltype(&nftnl_chain_free)> chain(nftnl_chain_alloc(),
                                                                        &nftnl_chain_free);
  if (!chain) throw std::bad_alloc();
  if (nftnl_chain_nlmsg_parse(as_header(message), chain.get()) < 0) {
    throw Error(ErrorCode::kKernel, "could not read the list of chains");
  }
  ForeignChain read;
  read.family = static_cast<std::uint8_t>(nftnl_chain_get_u32(chain.get(), NFTNL_CHAIN_FAMILY));
  read.table = text_or_empty(nftnl_chain_get_str(chain.get(), NFTNL_CHAIN_TABLE));
  read.name = text_or_empty(nftnl_chain_get_str(chain.get(), NFTNL_CHAIN_NAME));
  if (nftnl_chain_is_set(chain.get(), NFTNL_CHAIN_TYPE)) {
    read.type = text_or_empty(nftnl_chain_get_str(chain.get(), NFTNL_CHAIN_TYPE));
    read.hook = nftnl_chain_get_u32(chain.get(), NFTNL_CHAIN_HOOKNUM);
  }
  if (nftnl_chain_is_set(chain.get(), NFTNL_CHAIN_POLICY)) {
    read.drops_others = nftnl_chain_get_u32(chain.get(), NFTNL_CHAIN_POLICY) == NF_DROP;
  }
  return read;
}

std::string read_comment(const nftnl_rule* rule) {
  std::uint32_t size = 0;
  const void* data = nftnl_rule_get_data(rule, NFTNL_RULE_USERDATA, &size);
  if (data == nullptr) return {};
  std::string comment;
  const auto visit = [](const nftnl_udata* attribute, void* target) {
    if (nftnl_udata_type(attribute) != NFTNL_UDATA_RULE_COMMENT) return 0;
    const auto* text = static_cast<const char*>(nftnl_udata_get(attribute));
    static_cast<std::string*>(target)->assign(text, ::strnlen(text, nftnl_udata_len(attribute)));
    return 0;
  };
  nftnl_udata_parse(data, size, visit, &comment);
  return comment;
}

void add_constant(const nftnl_expr* expr, std::uint16_t attribute, ForeignRule& rule) {
  std::uint32_t size = 0;
  const auto* data = static_cast<const std::uint8_t*>(nftnl_expr_get(expr, attribute, &size));
  if (data != nullptr) rule.constants.emplace_back(data, data + size);
}

void read_immediate(const nftnl_expr* expr, ForeignRule& rule) {
  if (!nftnl_expr_is_set(expr, NFTNL_EXPR_IMM_VERDICT)) return add_constant(expr, NFTNL_EXPR_IMM_DATA, rule);
  switch (static_cast<int>(nftnl_expr_get_u32(expr, NFTNL_EXPR_IMM_VERDICT))) {
    case NF_ACCEPT:
      rule.verdict = "accept";
      break;
    case NF_DROP:
      rule.verdict = "drop";
      break;
    case NFT_JUMP:
    case NFT_GOTO:
      rule.target = text_or_empty(nftnl_expr_get_str(expr, NFTNL_EXPR_IMM_CHAIN));
      break;
    default:
      break;
  }
}

/// iptables-nft keeps a comment as a match of x_tables.
void read_match(const nftnl_expr* expr, ForeignRule& rule) {
  if (text_or_empty(nftnl_expr_get_str(expr, NFTNL_EXPR_MT_NAME)) != "comment") {
    rule.conditional = true;
    return;
  }
  std::uint32_t size = 0;
  const auto* info = static_cast<const char*>(nftnl_expr_get(expr, NFTNL_EXPR_MT_INFO, &size));
  if (info != nullptr)
    rule.comment.assign(info, ::strnlen(info, std::min<std::size_t>(size, XT_MAX_COMMENT_LEN)));
}

int read_expression(nftnl_expr* expr, void* target) {
  auto& rule = *static_cast<ForeignRule*>(target);
  const std::string kind = text_or_empty(nftnl_expr_get_str(expr, NFTNL_EXPR_NAME));
  if (kind == "cmp") {
    rule.conditional = true;
    add_constant(expr, NFTNL_EXPR_CMP_DATA, rule);
  } else if (kind == "immediate") {
    read_immediate(expr, rule);
  } else if (kind == "match") {
    read_match(expr, rule);
  } else if (kind == "reject") {
    rule.verdict = "drop";
  } else if (kind == "lookup" || kind == "range" || kind == "limit") {
    rule.conditional = true;
  }
  return 0;
}

ForeignRule read_rule(const Reply& reply) {
  const std::vector<std::uint8_t> message = whole_message(reply);
  const RulePointer rule(nftnl_rule_alloc());
  if (!rule) throw std::bad_alloc();
  if (nftnl_rule_nlmsg_parse(as_header(message), rule.get()) < 0) {
    throw Error(ErrorCode::kKernel, "could not read a list of rules");
  }
  ForeignRule read;
  read.family = static_cast<std::uint8_t>(nftnl_rule_get_u32(rule.get(), NFTNL_RULE_FAMILY));
  read.table = text_or_empty(nftnl_rule_get_str(rule.get(), NFTNL_RULE_TABLE));
  read.chain = text_or_empty(nftnl_rule_get_str(rule.get(), NFTNL_RULE_CHAIN));
  read.handle = nftnl_rule_get_u64(rule.get(), NFTNL_RULE_HANDLE);
  read.comment = read_comment(rule.get());
  nftnl_expr_foreach(rule.get(), read_expression, &read);
  return read;
}

}  // namespace

bool ForeignRule::mentions(std::span<const std::uint8_t> constant) const {
  return std::any_of(constants.begin(), constants.end(),
                     [&constant](const std::vector<std::uint8_t>& present) {
                       return std::equal(present.begin(), present.end(), constant.begin(), constant.end());
                     });
}

std::vector<ForeignChain> ForeignTables::list_chains() {
  std::vector<ForeignChain> chains;
  const Request request = list_request(NFT_MSG_GETCHAIN, NFPROTO_UNSPEC, "list the chains of nf_tables");
  for (const Reply& reply : socket_->dump(request)) chains.push_back(read_chain(reply));
  return chains;
}

std::vector<ForeignRule> ForeignTables::list_rules(std::uint8_t family, const std::string& table) {
  Request request =
      list_request(NFT_MSG_GETRULE, family, "list the rules of table " + family_name(family) + " " + table);
  request.put(kRuleTable, table);
  std::vector<ForeignRule> rules;
  for (const Reply& reply : socket_->dump(request)) {
    ForeignRule rule = read_rule(reply);
    if (rule.table == table && rule.family == family) rules.push_back(std::move(rule));
  }
  return rules;
}

bool ForeignTables::remove(const std::vector<ForeignRule>& rules, const std::vector<ForeignChain>& chains) {
  if (rules.empty() && chains.empty()) return true;
  NftBatch batch;
  for (const ForeignRule& rule : rules)
    batch.delete_foreign_rule(rule.family, rule.table, rule.chain, rule.handle);
  for (const ForeignChain& chain : chains) batch.flush_foreign_chain(chain.family, chain.table, chain.name);
  for (const ForeignChain& chain : chains) batch.delete_foreign_chain(chain.family, chain.table, chain.name);
  const auto refusals = batch.commit(*socket_);
  if (refusals.empty()) return true;
  const int sys_errno = refusals.front().sys_errno;
  if (sys_errno == ENOENT || sys_errno == EBUSY || sys_errno == ERESTART) return false;
  throw_refusal(refusals.front());
}

std::string family_name(std::uint8_t family) {
  switch (family) {
    case NFPROTO_IPV4:
      return "ip";
    case NFPROTO_IPV6:
      return "ip6";
    case NFPROTO_INET:
      return "inet";
    case NFPROTO_ARP:
      return "arp";
    case NFPROTO_BRIDGE:
      return "bridge";
    case NFPROTO_NETDEV:
      return "netdev";
    default:
      return "family " + std::to_string(family);
  }
}

}  // namespace netctl::iptables
