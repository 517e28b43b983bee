#include "ipam/codec.hpp"

#include "tests/unit/ipam/support.hpp"

namespace netctl::ipam::testing {
namespace {

TEST(Codec, AttachmentComesBackAsItWas) {
  const AttachmentRecord record = full_attachment("c1");
  EXPECT_EQ(decode_attachment(encode(record)), record);
}

TEST(Codec, EmptyAttachmentComesBackAsItWas) {
  EXPECT_EQ(decode_attachment(encode(AttachmentRecord{})), AttachmentRecord{});
}

TEST(Codec, NetworkComesBackAsItWas) {
  EXPECT_EQ(decode_network(encode(full_network())), full_network());
  EXPECT_EQ(decode_network(encode(NetworkRecord{})), NetworkRecord{});
}

TEST(Codec, ReservationComesBackAsItWas) {
  const ReservationRecord record{"net", "web", {ip("10.1.0.9"), ip("fd00::9")}};
  EXPECT_EQ(decode_reservation(encode(record)), record);
}

TEST(Codec, FieldsOfANewerVersionSurviveARewrite) {
  AttachmentRecord record = full_attachment("c1");
  record.extra = {{"bandwidth", {{"rate", 5}}}, {"zone", "a"}};
  AttachmentRecord read = decode_attachment(encode(record));
  EXPECT_EQ(read.extra, record.extra);
  read.container_name = "renamed";
  EXPECT_EQ(decode_attachment(encode(read)).extra, record.extra);

  NetworkRecord network = full_network();
  network.extra = {{"vni", 42}};
  EXPECT_EQ(decode_network(encode(network)), network);
}

TEST(Codec, FieldsThatAnOlderVersionDidNotKnowHaveTheirDefaults) {
  const nlohmann::json old_record = {
      {"network", "net"}, {"containerId", "c1"}, {"ifname", "eth0"}, {"bridge", "br0"}};
  std::string bytes;
  nlohmann::json::to_cbor(old_record, bytes);
  AttachmentRecord expected;
  expected.key = container("c1");
  expected.bridge = "br0";
  EXPECT_EQ(decode_attachment(bytes), expected);
}

TEST(Codec, AnExtraFieldNeverHidesAKnownOne) {
  AttachmentRecord record = full_attachment("c1");
  record.extra = {{"bridge", "not this one"}};
  EXPECT_EQ(decode_attachment(encode(record)).bridge, "br0");
}

TEST(Codec, BytesThatAreNoRecordAreDamage) {
  const std::string good = encode(full_attachment("c1"));
  const std::string reservation = encode(ReservationRecord{"net", "web", {}});
  for (const std::string& bytes : {std::string(), std::string("\xff"), good.substr(0, good.size() / 2),
                                   good + "x", std::string("\x80"), reservation}) {
    EXPECT_EQ(error_of([&] { (void)decode_attachment(bytes); }), ErrorCode::kStoreDamaged);
  }
}

TEST(Codec, EveryFlippedBitOfASealedValueIsNoticed) {
  const std::string key = "key";
  const std::string sealed = seal(key, "some value");
  EXPECT_EQ(unseal(key, sealed), "some value");
  for (std::size_t bit = 0; bit < sealed.size() * 8; ++bit) {
    std::string flipped = sealed;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_EQ(error_of([&] { (void)unseal(key, flipped); }), ErrorCode::kStoreDamaged) << "bit " << bit;
  }
}

TEST(Codec, ASealedValueUnderAnotherKeyIsNoticed) {
  EXPECT_EQ(error_of([] { (void)unseal("other", seal("key", "value")); }), ErrorCode::kStoreDamaged);
}

TEST(Codec, ShortSealedValuesAreDamage) {
  const std::string sealed = seal("key", "");
  for (std::size_t size = 0; size < sealed.size(); ++size) {
    EXPECT_EQ(error_of([&] { (void)unseal("key", sealed.substr(0, size)); }), ErrorCode::kStoreDamaged);
  }
}

}  // namespace
}  // namespace netctl::ipam::testing
