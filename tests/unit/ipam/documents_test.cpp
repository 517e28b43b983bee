#include "ipam/documents.hpp"

#include "tests/unit/ipam/support.hpp"

namespace netctl::ipam::testing {
namespace {

using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

TEST(Documents, AreKeptByKindAndName) {
  TemporaryDirectory directory;
  const std::string long_name(600, 'n');  // longer than a key of the store
  const nlohmann::json one{{"subnet", "10.0.0.0/24"}, {"unknown", {1, nullptr}}};
  {
    Store store = Store::open_durable(directory.state());
    store.write([&](Transaction& durable) {
      put_document(durable, "pool", long_name, {{"subnet", "10.9.0.0/24"}});
      put_document(durable, "pool", long_name, one);
      put_document(durable, "pool", "b", nlohmann::json::object());
      put_document(durable, "network", "b", one);
    });
  }
  Store store = Store::open_durable(directory.state());
  store.write([&](Transaction& durable) {
    EXPECT_EQ(find_document(durable, "pool", long_name), one);
    EXPECT_EQ(find_document(durable, "network", long_name), std::nullopt);
    EXPECT_THAT(list_documents(durable, "pool"),
                UnorderedElementsAre(Pair(long_name, one), Pair("b", nlohmann::json::object())));
    erase_document(durable, "pool", "b");
    erase_document(durable, "pool", "b");
    EXPECT_THAT(list_documents(durable, "pool"), UnorderedElementsAre(Pair(long_name, one)));
    EXPECT_THAT(list_documents(durable, "network"), UnorderedElementsAre(Pair("b", one)));
    EXPECT_THAT(list_documents(durable, "endpoint"), IsEmpty());
  });
}

}  // namespace
}  // namespace netctl::ipam::testing
