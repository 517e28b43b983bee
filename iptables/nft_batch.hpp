#pragma once
// One nf_tables transaction: the kernel does all of it or nothing, and no packet sees half of it.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "iptables/element.hpp"
#include "iptables/nft_rule.hpp"
#include "iptables/table_layout.hpp"
#include "netlink/socket.hpp"

struct nlmsghdr;

namespace netctl::iptables {

class NftBatch {
 public:
  /// With a generation the kernel refuses the batch (ERESTART) when anything changed in any table since that number was
  /// read. Without one, concurrent batches never have to be repeated: the hot path has none.
  explicit NftBatch(std::optional<std::uint32_t> generation = std::nullopt);

  /// What exists already stays as it is: none of the add_* asks for exclusive creation.
  void add_table();
  void add_set(const SetShape& shape);
  void add_chain(const ChainShape& shape);
  void add_chain(const std::string& name);
  void add_rule(const RuleBuilder& rule);
  /// Elements with an equal value are left alone; those with another refuse the batch (EEXIST, EBUSY).
  void add_elements(std::span<const Element> elements);

  void delete_elements(std::span<const Element> elements);
  /// Deletes all rules of the chain.
  void flush_chain(const std::string& name);
  void delete_chain(const std::string& name);
  void delete_table();

  // In tables of others.
  void delete_foreign_rule(std::uint8_t family, const std::string& table, const std::string& chain,
                           std::uint64_t handle);
  void flush_foreign_chain(std::uint8_t family, const std::string& table, const std::string& chain);
  void delete_foreign_chain(std::uint8_t family, const std::string& table, const std::string& name);

  /// The begin message and all that was added; commit() puts the end message behind it.
  [[nodiscard]] netlink::Bytes bytes() const { return buffer_; }

  struct Refusal {
    int sys_errno = 0;
    std::string kernel_text;
    std::string doing;              ///< completes "could not ..."
    std::vector<Element> elements;  ///< of the message that was refused, when it was about elements
  };
  /// Empty: the kernel did all of it. Otherwise nothing was changed, and these messages are why.
  [[nodiscard]] std::vector<Refusal> commit(netlink::Socket& socket);

 private:
  static constexpr std::uint8_t kOwnFamily = 1;  // NFPROTO_INET
  struct Message {
    std::size_t start;
    std::string doing;
    std::vector<Element> elements;
  };
  template <class Fill>
  void message(std::uint16_t type, std::uint16_t flags, std::size_t size_bound, std::string doing,
               Fill&& fill, std::uint8_t family = kOwnFamily);
  void put_elements(std::uint16_t type, std::uint16_t flags, std::span<const Element> elements,
                    const char* doing);
  void number_messages(std::uint32_t first);

  std::vector<std::uint8_t> buffer_;
  std::vector<Message> messages_;
};

/// Throws kKernel for a refusal that nobody knows a better answer to.
[[noreturn]] void throw_refusal(const NftBatch::Refusal& refusal);

}  // namespace netctl::iptables
