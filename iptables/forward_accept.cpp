#include "iptables/forward_accept.hpp"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/xt_conntrack.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>

#include "base/error.hpp"
#include "iptables/nft_rule.hpp"

namespace netctl::iptables {
namespace {

using netlink::Attr;
using netlink::Reply;
using netlink::Request;

constexpr Attr<NFTA_CHAIN_TABLE, std::string_view> kChainTable;
constexpr Attr<NFTA_CHAIN_NAME, std::string_view> kChainName;
constexpr Attr<NFTA_RULE_TABLE, std::string_view> kRuleTable;
constexpr Attr<NFTA_RULE_CHAIN, std::string_view> kRuleChain;
constexpr const char* kFilter = "filter";
constexpr const char* kDockerUser = "DOCKER-USER";
constexpr const char* kForwardChain = "FORWARD";
constexpr std::size_t kMessageBound = 4096;
constexpr std::size_t kHeadersSize = sizeof(nlmsghdr) + sizeof(nfgenmsg);
constexpr std::size_t kCommentSize = 256;  // XT_MAX_COMMENT_LEN (include/uapi/linux/netfilter/xt_comment.h)
constexpr std::uint32_t kConntrackRevision = 3;

constexpr std::size_t aligned(std::size_t size) {
  return (size + NLMSG_ALIGNTO - 1) & ~std::size_t{NLMSG_ALIGNTO - 1};
}

std::uint8_t nf_family(Family family) { return family == Family::kIpv4 ? NFPROTO_IPV4 : NFPROTO_IPV6; }

/// One rule in the making, in a table of iptables.
class ForeignRule {
 public:
  ForeignRule(Family family, const std::string& chain) : rule_(nftnl_rule_alloc()) {
    if (!rule_) throw std::bad_alloc();
    nftnl_rule_set_u32(rule_.get(), NFTNL_RULE_FAMILY, nf_family(family));
    nftnl_rule_set_str(rule_.get(), NFTNL_RULE_TABLE, kFilter);
    nftnl_rule_set_str(rule_.get(), NFTNL_RULE_CHAIN, chain.c_str());
  }

  ForeignRule& match_address(const IpPrefix& prefix, bool source) {
    const bool is_v4 = prefix.address.is_v4();
    const std::uint32_t offset =
        is_v4 ? (source ? 12 : 16) : (source ? 8 : 24);  // in the IPv4 and IPv6 headers
    if (prefix.length == 0) return *this;
    const IpAddress network = prefix.first();
    const bool whole_bytes = prefix.length % 8 == 0;
    const auto size = static_cast<std::uint32_t>(whole_bytes ? prefix.length / 8U : network.bytes().size());
    nftnl_expr* load = add("payload");
    nftnl_expr_set_u32(load, NFTNL_EXPR_PAYLOAD_BASE, NFT_PAYLOAD_NETWORK_HEADER);
    nftnl_expr_set_u32(load, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
    nftnl_expr_set_u32(load, NFTNL_EXPR_PAYLOAD_LEN, size);
    nftnl_expr_set_u32(load, NFTNL_EXPR_PAYLOAD_DREG, NFT_REG_1);
    if (!whole_bytes) mask(prefix.length, size);
    return compare(network.bytes().data(), size);
  }

  ForeignRule& match_link(const std::string& link, bool incoming) {
    if (link.empty()) return *this;
    nftnl_expr* load = add("meta");
    nftnl_expr_set_u32(load, NFTNL_EXPR_META_KEY, incoming ? NFT_META_IIFNAME : NFT_META_OIFNAME);
    nftnl_expr_set_u32(load, NFTNL_EXPR_META_DREG, NFT_REG_1);
    return compare(link.c_str(), static_cast<std::uint32_t>(link.size() + 1));
  }

  /// "-m conntrack --ctstate RELATED,ESTABLISHED,DNAT"
  ForeignRule& match_answers_and_published() {
    xt_conntrack_mtinfo3 info{};
    info.match_flags = XT_CONNTRACK_STATE;
    info.state_mask = XT_CONNTRACK_STATE_BIT(IP_CT_ESTABLISHED) | XT_CONNTRACK_STATE_BIT(IP_CT_RELATED) |
                      XT_CONNTRACK_STATE_DNAT;
    return match("conntrack", kConntrackRevision, &info, sizeof info);
  }

  ForeignRule& comment(const std::string& text) {
    std::array<char, kCommentSize> info{};
    std::copy_n(text.begin(), std::min(text.size(), info.size() - 1), info.begin());
    return match("comment", 0, info.data(), info.size());
  }

  ForeignRule& decide(std::int32_t verdict, const std::string& chain = {}) {
    add("counter");
    nftnl_expr* immediate = add("immediate");
    nftnl_expr_set_u32(immediate, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
    nftnl_expr_set_u32(immediate, NFTNL_EXPR_IMM_VERDICT, static_cast<std::uint32_t>(verdict));
    if (!chain.empty()) nftnl_expr_set_str(immediate, NFTNL_EXPR_IMM_CHAIN, chain.c_str());
    return *this;
  }

  [[nodiscard]] nftnl_rule* get() const { return rule_.get(); }

 private:
  nftnl_expr* add(const char* kind) {
    nftnl_expr* expr = nftnl_expr_alloc(kind);
    if (expr == nullptr) throw std::bad_alloc();
    nftnl_rule_add_expr(rule_.get(), expr);  // from here on the rule owns it
    return expr;
  }

  ForeignRule& compare(const void* data, std::uint32_t size) {
    nftnl_expr* expr = add("cmp");
    nftnl_expr_set_u32(expr, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_CMP_OP, NFT_CMP_EQ);
    nftnl_expr_set(expr, NFTNL_EXPR_CMP_DATA, data, size);
    return *this;
  }

  void mask(unsigned length, std::uint32_t size) {
    std::array<std::uint8_t, 16> bits{};
    const std::array<std::uint8_t, 16> no_flip{};
    for (unsigned bit = 0; bit < length; ++bit)
      bits[bit / 8] = static_cast<std::uint8_t>(bits[bit / 8] | 0x80U >> bit % 8);
    nftnl_expr* expr = add("bitwise");
    nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_LEN, size);
    // Said, because the kernel says it when it lists the rule.
    nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_OP, NFT_BITWISE_BOOL);
    nftnl_expr_set(expr, NFTNL_EXPR_BITWISE_MASK, bits.data(), size);
    nftnl_expr_set(expr, NFTNL_EXPR_BITWISE_XOR, no_flip.data(), size);
  }

  /// An extension of iptables, which nf_tables calls through nft_compat; its sizes are multiples of eight (XT_ALIGN).
  ForeignRule& match(const char* name, std::uint32_t revision, const void* info, std::size_t size) {
    const std::size_t aligned = (size + 7U) & ~std::size_t{7U};
    void* copy = std::calloc(1, aligned);  // libnftnl frees it, and does so with free()
    if (copy == nullptr) throw std::bad_alloc();
    std::memcpy(copy, info, size);
    nftnl_expr* expr = add("match");
    nftnl_expr_set_str(expr, NFTNL_EXPR_MT_NAME, name);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_MT_REV, revision);
    nftnl_expr_set(expr, NFTNL_EXPR_MT_INFO, copy, static_cast<std::uint32_t>(aligned));
    return *this;  // NOLINT(clang-analyzer-unix.Malloc): the expression owns the copy
  }

  RulePointer rule_;
};

/// In the order in which packets are to meet them.
std::vector<ForeignRule> rules_of(const ForwardAccept& accept) {
  const std::string comment = forward_comment(accept.addresses);
  std::vector<ForeignRule> rules;
  const auto from = [&]() -> ForeignRule& {
    return rules.emplace_back(accept.family(), accept.chain)
        .match_address(accept.addresses, true)
        .match_link(accept.link, true);
  };
  const auto to = [&]() -> ForeignRule& {
    return rules.emplace_back(accept.family(), accept.chain)
        .match_address(accept.addresses, false)
        .match_link(accept.link, false);
  };
  rules.reserve(4);
  if (!accept.admin_chain.empty()) {
    from().comment(comment).decide(NFT_JUMP, accept.admin_chain);
    to().comment(comment).decide(NFT_JUMP, accept.admin_chain);
  }
  from().comment(comment).decide(NF_ACCEPT);
  to().match_answers_and_published().comment(comment).decide(NF_ACCEPT);
  return rules;
}

/// All expressions but counters as they would be sent: equal for equal rules.
std::string content_of(nftnl_rule* rule) {
  std::string content;
  nftnl_expr_foreach(
      rule,
      [](nftnl_expr* expr, void* target) {
        const std::string kind = nftnl_expr_get_str(expr, NFTNL_EXPR_NAME);
        if (kind == "counter") return 0;
        std::array<char, kMessageBound> buffer{};
        nlmsghdr* header = mnl_nlmsg_put_header(buffer.data());
        nftnl_expr_build_payload(header, expr);
        *static_cast<std::string*>(target) +=
            kind + ":" + std::string(buffer.data(), header->nlmsg_len) + ";";
        return 0;
      },
      &content);
  return content;
}

struct PresentRule {
  std::string content;
  std::string chain;
  std::uint64_t handle = 0;
};

Request about(Family family, unsigned message, const std::string& doing) {
  Request request(static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | message), 0, doing);
  request.header<nfgenmsg>().nfgen_family = nf_family(family);
  request.tolerate({ENOENT});  // no such table or chain: nothing to list
  return request;
}

/// Of one chain, or of all when it is empty.
std::vector<PresentRule> list_rules(netlink::Socket& socket, Family family, const std::string& chain) {
  Request request = about(family, NFT_MSG_GETRULE, "list the rules of iptables");
  request.put(kRuleTable, kFilter);
  if (!chain.empty()) request.put(kRuleChain, chain);
  std::vector<PresentRule> rules;
  for (const Reply& reply : socket.dump(request)) {
    nlmsghdr header{};
    header.nlmsg_len = static_cast<std::uint32_t>(sizeof header + reply.payload.size());
    header.nlmsg_type = reply.type;
    header.nlmsg_flags = reply.flags;
    std::vector<std::uint8_t> message(header.nlmsg_len);
    std::memcpy(message.data(), &header, sizeof header);
    std::copy(reply.payload.begin(), reply.payload.end(), message.begin() + sizeof header);
    const RulePointer rule(nftnl_rule_alloc());
    if (!rule) throw std::bad_alloc();
    // A rule with what this libnftnl does not know is none of ours.
    if (nftnl_rule_nlmsg_parse(reinterpret_cast<const nlmsghdr*>(message.data()), rule.get()) < 0) continue;
    rules.push_back({content_of(rule.get()), nftnl_rule_get_str(rule.get(), NFTNL_RULE_CHAIN),
                     nftnl_rule_get_u64(rule.get(), NFTNL_RULE_HANDLE)});
  }
  return rules;
}

/// One transaction of messages about rules.
class RuleBatch {
 public:
  RuleBatch() {
    buffer_.resize(kHeadersSize);
    nftnl_batch_begin(reinterpret_cast<char*>(buffer_.data()), 0);
  }

  void add(std::uint16_t type, std::uint16_t flags, Family family, nftnl_rule* rule) {
    const std::size_t start = buffer_.size();
    buffer_.resize(start + kMessageBound);  // libnftnl writes without looking at an end
    nlmsghdr* header =
        nftnl_nlmsg_build_hdr(reinterpret_cast<char*>(buffer_.data() + start), type, nf_family(family),
                              static_cast<std::uint16_t>(flags | NLM_F_ACK), 0);
    nftnl_rule_nlmsg_build_payload(header, rule);
    if (header->nlmsg_len > kMessageBound)
      throw Error(ErrorCode::kInternal, "a rule is longer than expected");
    buffer_.resize(start + aligned(header->nlmsg_len));
    ++count_;
  }

  /// The first refusal; 0 when the kernel did all of it.
  netlink::Ack commit(netlink::Socket& socket) {
    if (count_ == 0) return {};
    const std::size_t end = buffer_.size();
    buffer_.resize(end + kHeadersSize);
    nftnl_batch_end(reinterpret_cast<char*>(buffer_.data() + end), 0);
    const std::uint32_t first = socket.reserve_sequences(count_ + 2);  // begin and end have one, too
    std::uint32_t sequence = first;
    for (std::size_t position = 0; position < buffer_.size();) {
      auto* header = reinterpret_cast<nlmsghdr*>(buffer_.data() + position);
      header->nlmsg_seq = sequence++;
      position += aligned(header->nlmsg_len);
    }
    for (netlink::Ack& ack : socket.exchange(buffer_, first + 1, count_)) {
      if (ack.sys_errno != 0) return std::move(ack);
    }
    return {};
  }

 private:
  std::vector<std::uint8_t> buffer_;
  std::uint32_t count_ = 0;
};

bool holds(const std::vector<PresentRule>& present, const std::string& content) {
  return std::any_of(present.begin(), present.end(),
                     [&content](const PresentRule& rule) { return rule.content == content; });
}

}  // namespace

std::string forward_comment(const IpPrefix& addresses) {
  return "netctl: " + addresses.network().to_string();
}

bool ForwardFilter::has_chain(Family family, const std::string& chain) {
  Request request = about(family, NFT_MSG_GETCHAIN, "look for the chain " + chain + " of iptables");
  request.put(kChainTable, kFilter).put(kChainName, chain);
  return socket_->get(request).has_value();
}

std::optional<std::string> ForwardFilter::find_chain(Family family) {
  Request request = about(family, NFT_MSG_GETCHAIN, "look for the chain FORWARD of iptables");
  request.put(kChainTable, kFilter).put(kChainName, kForwardChain);
  const std::optional<Reply> forward = socket_->get(request);
  if (!forward || !netlink::find_attribute(forward->attributes<nfgenmsg>(), NFTA_CHAIN_HOOK))
    return std::nullopt;
  return has_chain(family, kDockerUser) ? kDockerUser : kForwardChain;
}

void ForwardFilter::add(const ForwardAccept& accept) {
  const std::vector<ForeignRule> rules = rules_of(accept);
  const std::vector<PresentRule> present = list_rules(*socket_, accept.family(), accept.chain);
  RuleBatch batch;
  // Each goes to the head of the chain, so the last comes first.
  // NOLINTNEXTLINE(modernize-loop-convert): backwards
  for (auto rule = rules.rbegin(); rule != rules.rend(); ++rule) {
    if (holds(present, content_of(rule->get()))) continue;
    batch.add(NFT_MSG_NEWRULE, NLM_F_CREATE, accept.family(), rule->get());
  }
  const netlink::Ack refusal = batch.commit(*socket_);
  if (refusal.sys_errno == 0) return;
  throw Error(ErrorCode::kKernel,
              "could not let the containers' packets pass in the chain " + accept.chain +
                  " of iptables: " + errno_text(refusal.sys_errno) +
                  " (the kernel needs nft_compat, xt_comment and xt_conntrack)",
              refusal.kernel_text, refusal.sys_errno);
}

void ForwardFilter::remove(const ForwardAccept& accept) {
  const std::vector<ForeignRule> rules = rules_of(accept);
  for (const PresentRule& present : list_rules(*socket_, accept.family(), "")) {
    const bool ours = std::any_of(rules.begin(), rules.end(), [&present](const ForeignRule& rule) {
      return content_of(rule.get()) == present.content;
    });
    if (!ours) continue;
    const ForeignRule named(accept.family(), present.chain);
    nftnl_rule_set_u64(named.get(), NFTNL_RULE_HANDLE, present.handle);
    RuleBatch batch;
    batch.add(NFT_MSG_DELRULE, 0, accept.family(), named.get());
    const netlink::Ack refusal = batch.commit(*socket_);
    if (refusal.sys_errno == 0 || refusal.sys_errno == ENOENT) continue;
    throw Error(ErrorCode::kKernel,
                "could not remove the accept from the chain " + present.chain +
                    " of iptables: " + errno_text(refusal.sys_errno),
                refusal.kernel_text, refusal.sys_errno);
  }
}

bool ForwardFilter::has(const ForwardAccept& accept) {
  const std::vector<PresentRule> present = list_rules(*socket_, accept.family(), accept.chain);
  const std::vector<ForeignRule> rules = rules_of(accept);
  return std::all_of(rules.begin(), rules.end(),
                     [&present](const ForeignRule& rule) { return holds(present, content_of(rule.get())); });
}

}  // namespace netctl::iptables
