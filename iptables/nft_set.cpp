#include "iptables/nft_set.hpp"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include <algorithm>
#include <new>

#include <libnftnl/set.h>
#include <libnftnl/udata.h>

#include "base/error.hpp"
#include "iptables/policy_table.hpp"

namespace netctl::iptables {
namespace {

constexpr unsigned kTypeBits = 6;  // of one field in the number of a concatenated type (nft: TYPE_BITS)
constexpr std::size_t kUserDataMax = 256;
constexpr std::size_t kAttributesOfElement =
    96;                                   // headers of a single element with key, end, value and comment
constexpr std::size_t kLongestName = 64;  // table, set and chain names of ours are shorter

// What nft calls byte order (enum byteorder in its include/datatype.h).
constexpr std::uint32_t kByteOrderNone = 0;
constexpr std::uint32_t kByteOrderHost = 1;
constexpr std::uint32_t kByteOrderBigEndian = 2;

using UserData = std::unique_ptr<nftnl_udata_buf, decltype(&nftnl_udata_buf_free)>;

UserData make_user_data() {
  UserData data(nftnl_udata_buf_alloc(kUserDataMax), &nftnl_udata_buf_free);
  if (!data) throw std::bad_alloc();
  return data;
}

template <std::size_t N>
std::uint32_t type_number(const std::array<Field, N>& fields) {
  std::uint32_t number = 0;
  for (const Field field : fields) {
    if (field != Field::kNone) number = number << kTypeBits | static_cast<std::uint32_t>(field);
  }
  return number;
}

std::uint32_t key_byte_order(const SetShape& shape) {
  if (shape.key_fields() > 1) return kByteOrderNone;  // each field has its own
  return shape.key[0] == Field::kLink ? kByteOrderHost : kByteOrderBigEndian;
}

std::uint32_t data_byte_order(const SetShape& shape) {
  return shape.has_verdict || shape.data[1] != Field::kNone ? kByteOrderNone : kByteOrderBigEndian;
}

std::uint32_t flags_of(const SetShape& shape) {
  std::uint32_t flags = 0;
  if (shape.is_map()) flags |= NFT_SET_MAP;
  if (shape.has_intervals) flags |= NFT_SET_INTERVAL;
  if (shape.has_intervals && shape.key_fields() > 1) flags |= NFT_SET_CONCAT;
  return flags;
}

/// The kernel needs the width of each field to find intervals in a concatenation.
void describe_concatenation(nftnl_set* set, const SetShape& shape) {
  std::vector<std::uint8_t> sizes;
  for (const Field field : shape.key) {
    if (field != Field::kNone) sizes.push_back(static_cast<std::uint8_t>(field_size(field)));
  }
  nftnl_set_set_data(set, NFTNL_SET_DESC_CONCAT, sizes.data(), static_cast<std::uint32_t>(sizes.size()));
}

SetPointer allocate_set(const char* name) {
  SetPointer set(nftnl_set_alloc());
  if (!set) throw std::bad_alloc();
  nftnl_set_set_str(set.get(), NFTNL_SET_TABLE, kTableName);
  nftnl_set_set_str(set.get(), NFTNL_SET_NAME, name);
  return set;
}

void set_bytes(nftnl_set_elem* elem, std::uint16_t attribute, const std::vector<std::uint8_t>& bytes) {
  nftnl_set_elem_set(elem, attribute, bytes.data(), static_cast<std::uint32_t>(bytes.size()));
}

nftnl_set_elem* add_element(nftnl_set* set, const std::vector<std::uint8_t>& key) {
  nftnl_set_elem* elem = nftnl_set_elem_alloc();
  if (elem == nullptr) throw std::bad_alloc();
  set_bytes(elem, NFTNL_SET_ELEM_KEY, key);
  nftnl_set_elem_add(set, elem);  // from here on the set owns it
  return elem;
}

/// User data is a list of (type, length, bytes).
std::vector<std::uint8_t> comment_data(const std::string& comment) {
  std::vector<std::uint8_t> data{NFTNL_UDATA_SET_ELEM_COMMENT, static_cast<std::uint8_t>(comment.size() + 1)};
  data.insert(data.end(), comment.begin(), comment.end());
  data.push_back(0);
  return data;
}

void add_element(nftnl_set* set, const Element& element) {
  const SetShape& shape = shape_of(element.set);
  nftnl_set_elem* elem = add_element(set, element.key);
  if (!element.data.empty()) set_bytes(elem, NFTNL_SET_ELEM_DATA, element.data);
  if (shape.has_verdict) {
    nftnl_set_elem_set_u32(elem, NFTNL_SET_ELEM_VERDICT, static_cast<std::uint32_t>(NFT_JUMP));
    nftnl_set_elem_set_str(elem, NFTNL_SET_ELEM_CHAIN, element.chain.c_str());
  }
  if (!element.comment.empty()) set_bytes(elem, NFTNL_SET_ELEM_USERDATA, comment_data(element.comment));
  if (!shape.has_intervals) return;
  if (shape.key_fields() > 1) {
    set_bytes(elem, NFTNL_SET_ELEM_KEY_END, element.key_end);
    return;
  }
  // A set with a single field keeps the start and the end of an interval as two elements.
  const std::vector<std::uint8_t> behind = key_behind(element.key_end);
  if (behind.empty()) return;
  nftnl_set_elem* end = add_element(set, behind);
  nftnl_set_elem_set_u32(end, NFTNL_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
}

std::vector<std::uint8_t> bytes_of(nftnl_set_elem* elem, std::uint16_t attribute) {
  std::uint32_t size = 0;
  if (!nftnl_set_elem_is_set(elem, attribute)) return {};
  const auto* bytes = static_cast<const std::uint8_t*>(nftnl_set_elem_get(elem, attribute, &size));
  return {bytes, bytes + size};
}

/// Comments are written by anyone with the capability: nothing in them is trusted, not even their length.
std::string comment_of(nftnl_set_elem* elem) {
  const std::vector<std::uint8_t> bytes = bytes_of(elem, NFTNL_SET_ELEM_USERDATA);
  std::size_t position = 0;
  while (position + 2 <= bytes.size()) {
    const std::size_t length = bytes[position + 1];
    const auto start = bytes.begin() + static_cast<std::ptrdiff_t>(position + 2);
    if (position + 2 + length > bytes.size()) break;
    const auto end = start + static_cast<std::ptrdiff_t>(length);
    if (bytes[position] == NFTNL_UDATA_SET_ELEM_COMMENT) return {start, std::find(start, end, 0)};
    position += 2 + length;
  }
  return {};
}

}  // namespace

void SetDeleter::operator()(nftnl_set* set) const { nftnl_set_free(set); }

SetPointer make_set(const SetShape& shape) {
  SetPointer set = allocate_set(shape.name);
  nftnl_set_set_u32(set.get(), NFTNL_SET_FAMILY, NFPROTO_INET);
  nftnl_set_set_u32(set.get(), NFTNL_SET_ID, static_cast<std::uint32_t>(shape.id) + 1);
  nftnl_set_set_u32(set.get(), NFTNL_SET_FLAGS, flags_of(shape));
  nftnl_set_set_u32(set.get(), NFTNL_SET_KEY_TYPE, type_number(shape.key));
  nftnl_set_set_u32(set.get(), NFTNL_SET_KEY_LEN, static_cast<std::uint32_t>(shape.key_size()));
  if (shape.has_verdict) {
    nftnl_set_set_u32(set.get(), NFTNL_SET_DATA_TYPE, NFT_DATA_VERDICT);
    nftnl_set_set_u32(set.get(), NFTNL_SET_DATA_LEN, 0);
  } else if (shape.is_map()) {
    nftnl_set_set_u32(set.get(), NFTNL_SET_DATA_TYPE, type_number(shape.data));
    nftnl_set_set_u32(set.get(), NFTNL_SET_DATA_LEN, static_cast<std::uint32_t>(shape.data_size()));
  }
  if ((flags_of(shape) & NFT_SET_CONCAT) != 0) describe_concatenation(set.get(), shape);

  const UserData data = make_user_data();
  nftnl_udata_put_u32(data.get(), NFTNL_UDATA_SET_KEYBYTEORDER, key_byte_order(shape));
  if (shape.is_map()) {
    nftnl_udata_put_u32(data.get(), NFTNL_UDATA_SET_DATABYTEORDER, data_byte_order(shape));
    nftnl_udata_put_u32(data.get(), NFTNL_UDATA_SET_DATA_INTERVAL, 0);
  }
  nftnl_udata_put_strz(data.get(), NFTNL_UDATA_SET_COMMENT, shape.comment);
  nftnl_set_set_data(set.get(), NFTNL_SET_USERDATA, nftnl_udata_buf_data(data.get()),
                     nftnl_udata_buf_len(data.get()));
  return set;
}

SetPointer make_elements(std::span<const Element> elements) {
  SetPointer set = allocate_set(shape_of(elements.front().set).name);
  for (const Element& element : elements) add_element(set.get(), element);
  return set;
}

std::size_t wire_size_bound(const Element& element) {
  const std::size_t values = 2 * element.key.size() + element.key_end.size() + element.data.size();
  return 2 * kAttributesOfElement + values + element.comment.size() + element.chain.size() + kLongestName;
}

std::vector<std::uint8_t> key_behind(std::vector<std::uint8_t> last_key) {
  for (std::size_t i = last_key.size(); i-- > 0;) {
    if (++last_key[i] != 0) return last_key;
  }
  return {};
}

void parse_elements(const nlmsghdr* message, SetId set, std::vector<ElementPart>& parts) {
  const SetPointer parsed(nftnl_set_alloc());
  if (!parsed) throw std::bad_alloc();
  if (nftnl_set_elems_nlmsg_parse(message, parsed.get()) < 0) {
    throw Error(ErrorCode::kKernel, std::string("could not read the elements of set ") + shape_of(set).name);
  }
  struct Target {
    SetId set;
    std::vector<ElementPart>* parts;
  } target{set, &parts};
  const auto append = [](nftnl_set_elem* elem, void* cookie) {
    auto* to = static_cast<Target*>(cookie);
    ElementPart part;
    part.element.set = to->set;
    part.element.key = bytes_of(elem, NFTNL_SET_ELEM_KEY);
    part.element.key_end = bytes_of(elem, NFTNL_SET_ELEM_KEY_END);
    part.element.data = bytes_of(elem, NFTNL_SET_ELEM_DATA);
    if (const char* chain = nftnl_set_elem_get_str(elem, NFTNL_SET_ELEM_CHAIN)) part.element.chain = chain;
    part.element.comment = comment_of(elem);
    part.ends_interval =
        nftnl_set_elem_is_set(elem, NFTNL_SET_ELEM_FLAGS) &&
        (nftnl_set_elem_get_u32(elem, NFTNL_SET_ELEM_FLAGS) & NFT_SET_ELEM_INTERVAL_END) != 0;
    to->parts->push_back(std::move(part));
    return 0;
  };
  nftnl_set_elem_foreach(parsed.get(), append, &target);
}

std::vector<Element> join_intervals(std::vector<ElementPart> parts) {
  // The kernel lists them from the last to the first; sorted by key, and an end before a start of the same key, each
  // start is followed by its end, or by nothing when the interval is open.
  std::sort(parts.begin(), parts.end(), [](const ElementPart& a, const ElementPart& b) {
    if (a.element.key != b.element.key) return a.element.key < b.element.key;
    return a.ends_interval && !b.ends_interval;
  });
  std::vector<Element> elements;
  bool is_open = false;
  for (ElementPart& part : parts) {
    if (!part.ends_interval) {
      elements.push_back(std::move(part.element));
      elements.back().key_end.assign(elements.back().key.size(), 0xff);
      is_open = true;
    } else if (is_open) {
      std::vector<std::uint8_t>& last = part.element.key;
      for (std::size_t i = last.size(); i-- > 0;) {
        if (last[i]-- != 0) break;
      }
      elements.back().key_end = std::move(last);
      is_open = false;
    }
  }
  return elements;
}

}  // namespace netctl::iptables
