#include "ipam/sharers.hpp"

#include "ipam/keys_internal.hpp"

namespace netctl::ipam {
namespace {

std::string identity(const AttachmentKey& key) {
  return ByteWriter()
      .raw(hash_parts({key.network}).bytes)
      .raw(hash_parts({key.container_id, key.ifname}).bytes)
      .take();
}

std::string sharers_prefix(const AttachmentKey& owner) { return kSharerPrefix + identity(owner); }

}  // namespace

void put_sharer(Transaction& live, const SharerRecord& record) {
  ByteWriter writer;
  writer.owner(record.owner).owner(record.sharer).number(record.netns_cookie);
  writer.number(static_cast<std::uint8_t>(record.keep));
  live.put(sharers_prefix(record.owner) + identity(record.sharer), writer.take());
}

void erase_sharer(Transaction& live, const AttachmentKey& owner, const AttachmentKey& sharer) {
  live.erase(sharers_prefix(owner) + identity(sharer));
}

std::vector<SharerRecord> sharers_of(const Transaction& live, const AttachmentKey& owner) {
  const std::string prefix = sharers_prefix(owner);
  std::vector<SharerRecord> sharers;
  live.scan(prefix, prefix, [&](const std::string&, const std::string& value) {
    ByteReader reader(value);
    SharerRecord record;
    record.owner = reader.owner();
    record.sharer = reader.owner();
    record.netns_cookie = reader.number<std::uint64_t>();
    record.keep = reader.number<std::uint8_t>() != 0;
    if (record.owner == owner) sharers.push_back(std::move(record));
    return true;
  });
  return sharers;
}

}  // namespace netctl::ipam
