#include "ipam/neighbours.hpp"

#include "ipam/codec.hpp"
#include "ipam/keys_internal.hpp"

namespace netctl::ipam {

std::vector<AttachmentRecord> next_attachments(const Transaction& transaction, const AttachmentKey& key,
                                               std::size_t count) {
  const std::string prefix = hashed_key(kAttachmentPrefix, key.network);
  const std::string own = attachment_key(key);
  std::vector<AttachmentRecord> records;
  transaction.scan(prefix, own, [&](const std::string& each, const std::string& value) {
    if (each != own && records.size() < count) records.push_back(decode_attachment(value));
    return records.size() < count;
  });
  if (records.size() == count) return records;
  transaction.scan(prefix, prefix, [&](const std::string& each, const std::string& value) {
    if (each >= own || records.size() >= count) return false;
    records.push_back(decode_attachment(value));
    return true;
  });
  return records;
}

}  // namespace netctl::ipam
