#include "iptables/nft_batch.hpp"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <algorithm>
#include <memory>
#include <new>
#include <utility>

#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>

#include "base/error.hpp"
#include "iptables/nft_set.hpp"
#include "iptables/policy_table.hpp"

namespace netctl::iptables {
namespace {

// Room for a message that is not about elements: the longest is a rule with nine expressions.
constexpr std::size_t kMessageBound = 4096;
// A list of elements is an attribute, whose length has 16 bits.
constexpr std::size_t kElementListBound = 60000;
constexpr std::size_t kUserDataMax = 256;
constexpr std::size_t kHeadersSize = sizeof(nlmsghdr) + sizeof(nfgenmsg);

const char* const kTableComment = "made by netctl, which changes all of it but the chains user-*";

constexpr std::size_t aligned(std::size_t size) {
  return (size + NLMSG_ALIGNTO - 1) & ~std::size_t{NLMSG_ALIGNTO - 1};
}

template <class T>
using Owned = std::unique_ptr<T, void (*)(const T*)>;

template <class T>
Owned<T> own(T* object, void (*release)(const T*)) {
  if (object == nullptr) throw std::bad_alloc();
  return Owned<T>(object, release);
}

Owned<nftnl_chain> make_chain(const std::string& name) {
  auto chain = own(nftnl_chain_alloc(), nftnl_chain_free);
  nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_TABLE, kTableName);
  nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_NAME, name.c_str());
  return chain;
}

Owned<nftnl_udata_buf> make_comment(std::uint8_t type, const char* comment) {
  auto data = own(nftnl_udata_buf_alloc(kUserDataMax), nftnl_udata_buf_free);
  nftnl_udata_put_strz(data.get(), type, comment);
  return data;
}

}  // namespace

template <class Fill>
void NftBatch::message(std::uint16_t type, std::uint16_t flags, std::size_t size_bound, std::string doing,
                       Fill&& fill, std::uint8_t family) {
  static_assert(kOwnFamily == NFPROTO_INET);
  const std::size_t start = buffer_.size();
  buffer_.resize(start + size_bound);  // libnftnl writes without looking at an end
  nlmsghdr* header = nftnl_nlmsg_build_hdr(reinterpret_cast<char*>(buffer_.data() + start), type, family,
                                           static_cast<std::uint16_t>(flags | NLM_F_ACK), 0);
  std::forward<Fill>(fill)(header);
  if (header->nlmsg_len > size_bound) {
    throw Error(ErrorCode::kInternal, "a netfilter message is longer than expected: " + doing);
  }
  buffer_.resize(start + aligned(header->nlmsg_len));
  messages_.push_back({start, std::move(doing), {}});
}

NftBatch::NftBatch(std::optional<std::uint32_t> generation) {
  buffer_.reserve(kMessageBound);
  buffer_.resize(kHeadersSize + sizeof(nlattr) + sizeof(std::uint32_t));
  nlmsghdr* header = nftnl_batch_begin(reinterpret_cast<char*>(buffer_.data()), 0);
  if (generation) mnl_attr_put_u32(header, NFNL_BATCH_GENID, htonl(*generation));
  buffer_.resize(header->nlmsg_len);
}

void NftBatch::add_table() {
  const auto table = own(nftnl_table_alloc(), nftnl_table_free);
  const auto comment = make_comment(NFTNL_UDATA_TABLE_COMMENT, kTableComment);
  nftnl_table_set_str(table.get(), NFTNL_TABLE_NAME, kTableName);
  nftnl_table_set_u32(table.get(), NFTNL_TABLE_FLAGS, 0);
  nftnl_table_set_data(table.get(), NFTNL_TABLE_USERDATA, nftnl_udata_buf_data(comment.get()),
                       nftnl_udata_buf_len(comment.get()));
  message(NFT_MSG_NEWTABLE, NLM_F_CREATE, kMessageBound, "create table inet netctl",
          [&](nlmsghdr* header) { nftnl_table_nlmsg_build_payload(header, table.get()); });
}

void NftBatch::delete_table() {
  const auto table = own(nftnl_table_alloc(), nftnl_table_free);
  nftnl_table_set_str(table.get(), NFTNL_TABLE_NAME, kTableName);
  message(NFT_MSG_DELTABLE, 0, kMessageBound, "delete table inet netctl",
          [&](nlmsghdr* header) { nftnl_table_nlmsg_build_payload(header, table.get()); });
}

void NftBatch::delete_foreign_rule(std::uint8_t family, const std::string& table, const std::string& chain,
                                   std::uint64_t handle) {
  const RulePointer rule(nftnl_rule_alloc());
  if (!rule) throw std::bad_alloc();
  nftnl_rule_set_str(rule.get(), NFTNL_RULE_TABLE, table.c_str());
  nftnl_rule_set_str(rule.get(), NFTNL_RULE_CHAIN, chain.c_str());
  if (handle != 0) nftnl_rule_set_u64(rule.get(), NFTNL_RULE_HANDLE, handle);
  message(
      NFT_MSG_DELRULE, 0, kMessageBound, "delete a rule of chain " + table + " " + chain,
      [&](nlmsghdr* header) { nftnl_rule_nlmsg_build_payload(header, rule.get()); }, family);
}

void NftBatch::flush_foreign_chain(std::uint8_t family, const std::string& table, const std::string& chain) {
  delete_foreign_rule(family, table, chain, 0);
}

void NftBatch::delete_foreign_chain(std::uint8_t family, const std::string& table, const std::string& name) {
  auto chain = own(nftnl_chain_alloc(), nftnl_chain_free);
  nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_TABLE, table.c_str());
  nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_NAME, name.c_str());
  message(
      NFT_MSG_DELCHAIN, 0, kMessageBound, "delete chain " + table + " " + name,
      [&](nlmsghdr* header) { nftnl_chain_nlmsg_build_payload(header, chain.get()); }, family);
}

void NftBatch::add_set(const SetShape& shape) {
  const SetPointer set = make_set(shape);
  message(NFT_MSG_NEWSET, NLM_F_CREATE, kMessageBound, std::string("create set ") + shape.name,
          [&](nlmsghdr* header) { nftnl_set_nlmsg_build_payload(header, set.get()); });
}

void NftBatch::add_chain(const ChainShape& shape) {
  const auto chain = make_chain(shape.name);
  if (shape.type != nullptr) {
    nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_TYPE, shape.type);
    nftnl_chain_set_u32(chain.get(), NFTNL_CHAIN_HOOKNUM, shape.hook);
    nftnl_chain_set_s32(chain.get(), NFTNL_CHAIN_PRIO, shape.priority);
    nftnl_chain_set_u32(chain.get(), NFTNL_CHAIN_POLICY, NF_ACCEPT);
  }
  if (shape.comment != nullptr) {
    const auto comment = make_comment(NFTNL_UDATA_CHAIN_COMMENT, shape.comment);
    nftnl_chain_set_data(chain.get(), NFTNL_CHAIN_USERDATA, nftnl_udata_buf_data(comment.get()),
                         nftnl_udata_buf_len(comment.get()));
  }
  message(NFT_MSG_NEWCHAIN, NLM_F_CREATE, kMessageBound, std::string("create chain ") + shape.name,
          [&](nlmsghdr* header) { nftnl_chain_nlmsg_build_payload(header, chain.get()); });
}

void NftBatch::add_chain(const std::string& name) {
  add_chain(ChainShape{name.c_str(), nullptr, 0, 0, nullptr});
}

void NftBatch::delete_chain(const std::string& name) {
  const auto chain = make_chain(name);
  message(NFT_MSG_DELCHAIN, 0, kMessageBound, "delete chain " + name,
          [&](nlmsghdr* header) { nftnl_chain_nlmsg_build_payload(header, chain.get()); });
}

void NftBatch::add_rule(const RuleBuilder& rule) {
  message(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, kMessageBound, "add a rule to chain " + rule.chain(),
          [&](nlmsghdr* header) { nftnl_rule_nlmsg_build_payload(header, rule.get()); });
}

void NftBatch::flush_chain(const std::string& name) {
  const RuleBuilder any(name);
  message(NFT_MSG_DELRULE, 0, kMessageBound, "flush chain " + name,
          [&](nlmsghdr* header) { nftnl_rule_nlmsg_build_payload(header, any.get()); });
}

void NftBatch::put_elements(std::uint16_t type, std::uint16_t flags, std::span<const Element> elements,
                            const char* doing) {
  // One message a set, unless that gets too long.
  for (const SetShape& shape : all_sets()) {
    std::vector<Element> of_set;
    std::size_t size = 0;
    const auto put = [&] {
      if (of_set.empty()) return;
      const SetPointer set = make_elements(of_set);
      message(type, flags, size + kMessageBound, std::string(doing) + " elements of " + shape.name,
              [&](nlmsghdr* header) { nftnl_set_elems_nlmsg_build_payload(header, set.get()); });
      messages_.back().elements = std::move(of_set);
      of_set.clear();
      size = 0;
    };
    for (const Element& element : elements) {
      if (element.set != shape.id) continue;
      if (size + wire_size_bound(element) > kElementListBound) put();
      of_set.push_back(element);
      size += wire_size_bound(element);
    }
    put();
  }
}

void NftBatch::add_elements(std::span<const Element> elements) {
  put_elements(NFT_MSG_NEWSETELEM, NLM_F_CREATE, elements, "add");
}

void NftBatch::delete_elements(std::span<const Element> elements) {
  put_elements(NFT_MSG_DELSETELEM, 0, elements, "delete");
}

void NftBatch::number_messages(std::uint32_t first) {
  std::size_t position = 0;
  while (position < buffer_.size()) {
    auto* header = reinterpret_cast<nlmsghdr*>(buffer_.data() + position);
    header->nlmsg_seq = first++;
    position += aligned(header->nlmsg_len);
  }
}

std::vector<NftBatch::Refusal> NftBatch::commit(netlink::Socket& socket) {
  const std::size_t end = buffer_.size();
  buffer_.resize(end + kHeadersSize);
  nftnl_batch_end(reinterpret_cast<char*>(buffer_.data() + end), 0);
  const auto count = static_cast<std::uint32_t>(messages_.size());
  const std::uint32_t first = socket.reserve_sequences(count + 2);  // begin and end have one, too
  number_messages(first);
  const std::vector<netlink::Ack> acks = socket.exchange(buffer_, first + 1, count);
  std::vector<Refusal> refusals;
  for (std::size_t i = 0; i < acks.size(); ++i) {
    if (acks[i].sys_errno == 0) continue;
    refusals.push_back({acks[i].sys_errno, acks[i].kernel_text, messages_[i].doing, messages_[i].elements});
  }
  buffer_.resize(end);
  return refusals;
}

void throw_refusal(const NftBatch::Refusal& refusal) {
  std::string message = "could not " + refusal.doing + ": " + errno_text(refusal.sys_errno);
  if (refusal.sys_errno == EPERM) {
    message += " (CAP_NET_ADMIN is needed in the user namespace that owns the network namespace)";
  }
  if (refusal.sys_errno == EOPNOTSUPP || refusal.sys_errno == EAFNOSUPPORT) {
    message += " (the kernel needs nf_tables with inet, nat, masquerade, fib and conntrack)";
  }
  throw Error(ErrorCode::kKernel, message, refusal.kernel_text, refusal.sys_errno);
}

}  // namespace netctl::iptables
