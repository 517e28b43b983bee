#include "iptables/nft_rule.hpp"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/rtnetlink.h>

#include <cstring>
#include <new>
#include <utility>

#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/udata.h>

#include "iptables/policy_table.hpp"

namespace netctl::iptables {
namespace {

constexpr std::size_t kRegisterWords = 4;  // one of the four 16-byte registers is four of the 4-byte ones
constexpr std::uint32_t kSourceOffset4 = 12;
constexpr std::uint32_t kDestinationOffset4 = 16;
constexpr std::uint32_t kSourceOffset6 = 8;
constexpr std::uint32_t kDestinationOffset6 = 24;
constexpr std::uint32_t kDestinationPortOffset = 2;  // the same in TCP, UDP and SCTP
constexpr std::uint32_t kBitOfKnownConnections =
    (1U << (IP_CT_ESTABLISHED + 1)) | (1U << (IP_CT_RELATED + 1));
constexpr std::size_t kCommentBuffer = 256;

/// The register that starts at 4-byte word `word`, by the name that the kernel uses when it lists the rule.
std::uint32_t register_at(std::size_t word) {
  return static_cast<std::uint32_t>(word % kRegisterWords == 0 ? NFT_REG_1 + word / kRegisterWords
                                                               : NFT_REG32_00 + word);
}

std::uint32_t nf_family(Family family) { return family == Family::kIpv4 ? NFPROTO_IPV4 : NFPROTO_IPV6; }

std::vector<std::uint8_t> prefix_mask(unsigned length, std::size_t size) {
  std::vector<std::uint8_t> mask(size);
  for (unsigned bit = 0; bit < length; ++bit)
    mask[bit / 8] = static_cast<std::uint8_t>(mask[bit / 8] | 0x80U >> bit % 8);
  return mask;
}

/// nft turns the bytes of a protocol number round, of which there is one: a table that was written back with `nft -f` has
/// such expressions more than we make.
bool is_idle(nftnl_expr* expr) {
  return std::strcmp(nftnl_expr_get_str(expr, NFTNL_EXPR_NAME), "byteorder") == 0 &&
         nftnl_expr_get_u32(expr, NFTNL_EXPR_BYTEORDER_LEN) == 1;
}

void default_to(nftnl_expr* expr, std::uint16_t attribute, std::uint32_t value) {
  if (!nftnl_expr_is_set(expr, attribute)) nftnl_expr_set_u32(expr, attribute, value);
}

/// Fills in what the kernel derives by itself and reports when it lists a rule.
void complete(nftnl_expr* expr) {
  const std::string kind = nftnl_expr_get_str(expr, NFTNL_EXPR_NAME);
  if (kind == "lookup") default_to(expr, NFTNL_EXPR_LOOKUP_FLAGS, 0);
  if (kind != "nat") return;
  std::uint32_t flags = 0;
  if (nftnl_expr_is_set(expr, NFTNL_EXPR_NAT_REG_ADDR_MIN)) {
    default_to(expr, NFTNL_EXPR_NAT_REG_ADDR_MAX, nftnl_expr_get_u32(expr, NFTNL_EXPR_NAT_REG_ADDR_MIN));
    flags |= NF_NAT_RANGE_MAP_IPS;
  }
  if (nftnl_expr_is_set(expr, NFTNL_EXPR_NAT_REG_PROTO_MIN)) {
    default_to(expr, NFTNL_EXPR_NAT_REG_PROTO_MAX, nftnl_expr_get_u32(expr, NFTNL_EXPR_NAT_REG_PROTO_MIN));
    flags |= NF_NAT_RANGE_PROTO_SPECIFIED;
  }
  default_to(expr, NFTNL_EXPR_NAT_FLAGS, flags);
}

}  // namespace

void RuleDeleter::operator()(nftnl_rule* rule) const { nftnl_rule_free(rule); }

RuleBuilder::RuleBuilder(const std::string& chain) : chain_(chain), rule_(nftnl_rule_alloc()) {
  if (!rule_) throw std::bad_alloc();
  nftnl_rule_set_str(rule_.get(), NFTNL_RULE_TABLE, kTableName);
  nftnl_rule_set_str(rule_.get(), NFTNL_RULE_CHAIN, chain.c_str());
  nftnl_rule_set_u32(rule_.get(), NFTNL_RULE_FAMILY, NFPROTO_INET);
}

template <class Fill>
RuleBuilder& RuleBuilder::expression(const char* kind, Fill&& fill) {
  nftnl_expr* expr = nftnl_expr_alloc(kind);
  if (expr == nullptr) throw std::bad_alloc();
  std::forward<Fill>(fill)(expr);
  nftnl_rule_add_expr(rule_.get(), expr);  // from here on the rule owns it
  return *this;
}

RuleBuilder& RuleBuilder::load_meta(std::uint32_t key, std::size_t word) {
  return expression("meta", [&](nftnl_expr* expr) {
    nftnl_expr_set_u32(expr, NFTNL_EXPR_META_KEY, key);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_META_DREG, register_at(word));
  });
}

RuleBuilder& RuleBuilder::load_payload(std::uint32_t base, std::uint32_t offset, std::size_t size,
                                       std::size_t word) {
  return expression("payload", [&](nftnl_expr* expr) {
    nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_BASE, base);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_LEN, static_cast<std::uint32_t>(size));
    nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_DREG, register_at(word));
  });
}

RuleBuilder& RuleBuilder::compare(std::uint32_t operation, const void* data, std::size_t size) {
  return expression("cmp", [&](nftnl_expr* expr) {
    nftnl_expr_set_u32(expr, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_CMP_OP, operation);
    nftnl_expr_set(expr, NFTNL_EXPR_CMP_DATA, data, static_cast<std::uint32_t>(size));
  });
}

RuleBuilder& RuleBuilder::mask(const std::vector<std::uint8_t>& mask) {
  const std::vector<std::uint8_t> no_flip(mask.size());
  const auto size = static_cast<std::uint32_t>(mask.size());
  return expression("bitwise", [&](nftnl_expr* expr) {
    nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_LEN, size);
    nftnl_expr_set(expr, NFTNL_EXPR_BITWISE_MASK, mask.data(), size);
    nftnl_expr_set(expr, NFTNL_EXPR_BITWISE_XOR, no_flip.data(), size);
  });
}

/// A rule of an inet table sees both families, and an IPv4 offset means something else in an IPv6 header.
RuleBuilder& RuleBuilder::require_family(Family family) {
  const auto wanted = static_cast<std::uint8_t>(nf_family(family));
  return load_meta(NFT_META_NFPROTO, 0).compare(NFT_CMP_EQ, &wanted, sizeof wanted);
}

RuleBuilder& RuleBuilder::match_address(const IpPrefix& prefix, std::uint32_t offset) {
  require_family(prefix.address.family());
  if (prefix.length == 0) return *this;
  const IpAddress network = prefix.first();
  const bool whole_bytes = prefix.length % 8 == 0;
  const std::size_t size = whole_bytes ? prefix.length / 8U : network.bytes().size();
  load_payload(NFT_PAYLOAD_NETWORK_HEADER, offset, size, 0);
  if (!whole_bytes) mask(prefix_mask(prefix.length, size));
  return compare(NFT_CMP_EQ, network.bytes().data(), size);
}

RuleBuilder& RuleBuilder::match_source(const IpPrefix& prefix) {
  return match_address(prefix, prefix.address.is_v4() ? kSourceOffset4 : kSourceOffset6);
}

RuleBuilder& RuleBuilder::match_destination(const IpPrefix& prefix) {
  return match_address(prefix, prefix.address.is_v4() ? kDestinationOffset4 : kDestinationOffset6);
}

RuleBuilder& RuleBuilder::look_up(SetId set) {
  return expression("lookup", [&](nftnl_expr* expr) {
    nftnl_expr_set_u32(expr, NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1);
    nftnl_expr_set_str(expr, NFTNL_EXPR_LOOKUP_SET, shape_of(set).name);
    if (shape_of(set).has_verdict) {
      nftnl_expr_set_u32(expr, NFTNL_EXPR_LOOKUP_DREG, NFT_REG_VERDICT);
    } else if (shape_of(set).is_map()) {
      nftnl_expr_set_u32(expr, NFTNL_EXPR_LOOKUP_DREG, NFT_REG_1);
    }
  });
}

RuleBuilder& RuleBuilder::match_incoming_link(SetId links) {
  return load_meta(NFT_META_IIFNAME, 0).look_up(links);
}
RuleBuilder& RuleBuilder::match_outgoing_link(SetId links) {
  return load_meta(NFT_META_OIFNAME, 0).look_up(links);
}

RuleBuilder& RuleBuilder::match_links(SetId links) {
  load_meta(NFT_META_IIFNAME, 0);
  return load_meta(NFT_META_OIFNAME, padded_field_size(Field::kLink) / 4).look_up(links);
}

RuleBuilder& RuleBuilder::match_local_destination() {
  expression("fib", [](nftnl_expr* expr) {
    nftnl_expr_set_u32(expr, NFTNL_EXPR_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_FIB_FLAGS, NFTA_FIB_F_DADDR);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_FIB_DREG, NFT_REG_1);
  });
  const std::uint32_t local = RTN_LOCAL;
  return compare(NFT_CMP_EQ, &local, sizeof local);
}

RuleBuilder& RuleBuilder::match_bits(std::uint32_t conntrack_key, std::uint32_t bits) {
  expression("ct", [&](nftnl_expr* expr) {
    nftnl_expr_set_u32(expr, NFTNL_EXPR_CT_KEY, conntrack_key);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_CT_DREG, NFT_REG_1);
  });
  std::vector<std::uint8_t> wire(sizeof bits);
  std::memcpy(wire.data(), &bits, sizeof bits);
  const std::uint32_t none = 0;
  return mask(wire).compare(NFT_CMP_NEQ, &none, sizeof none);
}

RuleBuilder& RuleBuilder::match_translated_destination() { return match_bits(NFT_CT_STATUS, IPS_DST_NAT); }
RuleBuilder& RuleBuilder::match_known_connection() {
  return match_bits(NFT_CT_STATE, kBitOfKnownConnections);
}

/// Puts destination address (when the key begins with one), protocol and destination port into consecutive registers.
RuleBuilder& RuleBuilder::load_flow_key(Family family, const SetShape& shape) {
  std::size_t word = 0;
  if (shape.key[0] != Field::kProtocol) {
    require_family(family);
    const std::size_t size = field_size(shape.key[0]);
    load_payload(NFT_PAYLOAD_NETWORK_HEADER,
                 family == Family::kIpv4 ? kDestinationOffset4 : kDestinationOffset6, size, word);
    word += size / 4;
  }
  load_meta(NFT_META_L4PROTO, word);
  return load_payload(NFT_PAYLOAD_TRANSPORT_HEADER, kDestinationPortOffset, field_size(Field::kPort),
                      word + 1);
}

RuleBuilder& RuleBuilder::match_target(Family family, SetId targets) {
  return load_flow_key(family, shape_of(targets)).look_up(targets);
}

RuleBuilder& RuleBuilder::match_port(SetId ports) {
  load_meta(NFT_META_L4PROTO, 0);
  return load_payload(NFT_PAYLOAD_TRANSPORT_HEADER, kDestinationPortOffset, field_size(Field::kPort), 1)
      .look_up(ports);
}

RuleBuilder& RuleBuilder::match_sender(Family family, SetId senders) {
  require_family(family);
  const std::size_t size = field_size(shape_of(senders).key[0]);
  load_payload(NFT_PAYLOAD_NETWORK_HEADER, family == Family::kIpv4 ? kSourceOffset4 : kSourceOffset6, size,
               0);
  load_payload(NFT_PAYLOAD_TRANSPORT_HEADER, kDestinationPortOffset, field_size(Field::kPort), size / 4);
  return look_up(senders);
}

RuleBuilder& RuleBuilder::look_up_source(Family family, SetId map) {
  require_family(family);
  const bool v4 = family == Family::kIpv4;
  load_payload(NFT_PAYLOAD_NETWORK_HEADER, v4 ? kSourceOffset4 : kSourceOffset6,
               field_size(shape_of(map).key[0]), 0);
  return look_up(map);
}

/// The kernel skips a translation of the other family, so that a map without addresses in its key needs no test for it.
RuleBuilder& RuleBuilder::translate_destination(Family family, SetId map) {
  const SetShape& shape = shape_of(map);
  load_flow_key(family, shape).look_up(map);
  return expression("nat", [&](nftnl_expr* expr) {
    nftnl_expr_set_u32(expr, NFTNL_EXPR_NAT_TYPE, NFT_NAT_DNAT);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_NAT_FAMILY, nf_family(family));
    nftnl_expr_set_u32(expr, NFTNL_EXPR_NAT_REG_ADDR_MIN, NFT_REG_1);
    if (shape.data[1] == Field::kPort) {
      nftnl_expr_set_u32(expr, NFTNL_EXPR_NAT_REG_PROTO_MIN, register_at(field_size(shape.data[0]) / 4));
    }
  });
}

RuleBuilder& RuleBuilder::masquerade() {
  return expression("masq", [](nftnl_expr*) {});
}

RuleBuilder& RuleBuilder::verdict(std::int32_t code, const std::string& chain) {
  return expression("immediate", [&](nftnl_expr* expr) {
    nftnl_expr_set_u32(expr, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_IMM_VERDICT, static_cast<std::uint32_t>(code));
    if (!chain.empty()) nftnl_expr_set_str(expr, NFTNL_EXPR_IMM_CHAIN, chain.c_str());
  });
}

RuleBuilder& RuleBuilder::jump(const std::string& chain) { return verdict(NFT_JUMP, chain); }
RuleBuilder& RuleBuilder::accept() { return verdict(NF_ACCEPT, {}); }
RuleBuilder& RuleBuilder::drop() { return verdict(NF_DROP, {}); }
RuleBuilder& RuleBuilder::return_to_caller() { return verdict(NFT_RETURN, {}); }

RuleBuilder& RuleBuilder::comment(const std::string& text) {
  const std::unique_ptr<nftnl_udata_buf, decltype(&nftnl_udata_buf_free)> buffer(
      nftnl_udata_buf_alloc(kCommentBuffer), &nftnl_udata_buf_free);
  if (!buffer) throw std::bad_alloc();
  nftnl_udata_put_strz(buffer.get(), NFTNL_UDATA_RULE_COMMENT, text.c_str());
  nftnl_rule_set_data(rule_.get(), NFTNL_RULE_USERDATA, nftnl_udata_buf_data(buffer.get()),
                      nftnl_udata_buf_len(buffer.get()));
  return *this;
}

std::string describe_expressions(nftnl_rule* rule) {
  std::string text;
  const auto append = [](nftnl_expr* expr, void* target) {
    if (is_idle(expr)) return 0;
    char buffer[512];
    complete(expr);
    nftnl_expr_snprintf(buffer, sizeof buffer, expr, NFTNL_OUTPUT_DEFAULT, 0);
    std::string& to = *static_cast<std::string*>(target);
    to += '[' + std::string(nftnl_expr_get_str(expr, NFTNL_EXPR_NAME)) + ' ' + buffer + ']';
    return 0;
  };
  nftnl_expr_foreach(rule, append, &text);
  return text;
}

}  // namespace netctl::iptables
