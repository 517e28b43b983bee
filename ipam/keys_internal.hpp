#pragma once
// The key space. One letter says what a record is; the rest is fixed-width, so that keys sort by network, pool, port.
//   live     'V'                                            schema number
//            'A' hash(network) hash(container id, ifname)   attachment
//            'N' hash(network)                              network
//            'P' pool                                       state of a pool: count, cursors, recently released
//            'L' pool family address                        lease -> its owner
//            'B' pool family block                          which of 2048 addresses in a row are leased, as bits
//            'O' pool hash(owner)                           owner -> its leases in the pool
//            'C' protocol port kind address                 claim of one port -> its owner
//            'D' protocol first count kind address          claim of several ports -> its owner
//            'H' owner's attachment, sharer's attachment  who shares whose namespace
//   durable  'V'
//            'R' hash(network) hash(name)                   reservation
//            'S' hash(network)                              subnets chosen for a network
//   both     'J' hash(kind) hash(name)                      document of a front end

#include <string>
#include <string_view>

#include "base/hash.hpp"
#include "ipam/bytes_internal.hpp"
#include "ipam/records.hpp"

namespace netctl::ipam {

inline constexpr char kSchemaPrefix = 'V';
inline constexpr char kAttachmentPrefix = 'A';
inline constexpr char kNetworkPrefix = 'N';
inline constexpr char kPoolPrefix = 'P';
inline constexpr char kLeasePrefix = 'L';
inline constexpr char kBlockPrefix = 'B';
inline constexpr char kOwnerPrefix = 'O';
inline constexpr char kPortPrefix = 'C';
inline constexpr char kPortRangePrefix = 'D';
inline constexpr char kSharerPrefix = 'H';
inline constexpr char kReservationPrefix = 'R';
inline constexpr char kSubnetPrefix = 'S';
inline constexpr char kDocumentPrefix = 'J';

inline std::string schema_key() { return {kSchemaPrefix}; }

inline std::string hashed_key(char prefix, std::string_view name) {
  return ByteWriter().number(prefix).raw(hash_parts({name}).bytes).take();
}

inline std::string attachment_key(const AttachmentKey& key) {
  return hashed_key(kAttachmentPrefix, key.network) +
         ByteWriter().raw(hash_parts({key.container_id, key.ifname}).bytes).take();
}

}  // namespace netctl::ipam
