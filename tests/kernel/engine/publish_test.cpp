// Ports of a container that another executable of the chain attached.

#include "plugins/engine/publish.hpp"

#include "plugins/engine/network.hpp"
#include "tests/kernel/engine/engine_fixture.hpp"

namespace netctl::engine {
namespace {

using sample::address;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::output_of;

class PublishTest : public EngineTest {
 protected:
  AttachmentRequest main_part() { return wanted("c1", box_); }
  PublishRequest publishing(std::vector<cni::PortMapping> ports) {
    PublishRequest request;
    request.key = main_part().key;
    request.netns_path = box_.path();
    request.targets = {address("10.77.0.2")};
    request.ports = std::move(ports);
    return request;
  }
  /// What a plugin that is not ours would have made: a veth pair without a bridge, `subnet` is "10.77.0." or the like.
  static void attach_by_hand(const Box& box, const std::string& link_name, const std::string& subnet) {
    output_of({"ip", "link", "add", link_name, "type", "veth", "peer", "name", "tmp0"});
    output_of({"ip", "link", "set", "tmp0", "netns", box.path()});
    box.run({"ip", "link", "set", "tmp0", "name", "eth0"});
    box.run({"ip", "addr", "add", subnet + "2/24", "dev", "eth0"});
    box.run({"ip", "link", "set", "eth0", "up"});
    output_of({"ip", "addr", "add", subnet + "1/24", "dev", link_name});
    output_of({"ip", "link", "set", link_name, "up"});
  }
  void attach_by_hand() { attach_by_hand(box_, "foreign0", "10.77.0."); }
  void unpublish() { detach_part(engine(), main_part().key, kPublishPart); }

 private:
  Box box_;
};

TEST_F(PublishTest, AddsToAnAttachmentOfOurs) {
  const std::string before = snapshot();
  add(main_part());
  const ipam::AttachmentRecord record = publish(engine(), publishing({mapping(8080, 80)}));
  EXPECT_EQ(record.ports.size(), 1U);
  EXPECT_THAT(published(), ElementsAre("8080/tcp to 10.77.0.2:80"));
  check(engine(), main_part().key, kPublishPart, std::nullopt);
  check(engine(), main_part().key, "bridge", std::nullopt);
  unpublish();
  EXPECT_THAT(published(), IsEmpty());
  EXPECT_TRUE(host_end(main_part()));
  check(engine(), main_part().key, "bridge", std::nullopt);
  del(main_part());
  EXPECT_EQ(snapshot(), before);
}

TEST_F(PublishTest, IsTakenBackAlsoAfterTheMainPart) {
  const std::string before = snapshot();
  add(main_part());
  publish(engine(), publishing({mapping(8080, 80)}));
  del(main_part());
  EXPECT_THAT(published(), ElementsAre("8080/tcp to 10.77.0.2:80"));
  unpublish();
  EXPECT_EQ(snapshot(), before);
  EXPECT_FALSE(record_of(main_part()) || network_record("blue"));
}

TEST_F(PublishTest, SharesAMappingThatTheMainPluginPublishedToo) {
  AttachmentRequest request = main_part();
  request.endpoint.ports = {mapping(8080, 80), mapping(0, 81)};
  add(request);
  publish(engine(), publishing({mapping(8080, 80), mapping(0, 81)}));
  const std::vector<std::string> both = {"32768/tcp to 10.77.0.2:81", "8080/tcp to 10.77.0.2:80"};
  EXPECT_EQ(published(), both);
  unpublish();
  EXPECT_EQ(published(), both);
  publish(engine(), publishing({mapping(8080, 80)}));
  del(request);
  EXPECT_THAT(published(), ElementsAre("8080/tcp to 10.77.0.2:80"));
  unpublish();
  EXPECT_THAT(output_of({"nft", "list", "ruleset"}), IsEmpty());
}

TEST_F(PublishTest, PublishesForAPluginThatIsNotOurs) {
  attach_by_hand();
  const std::string before = snapshot();
  publish(engine(), publishing({mapping(8080, 80)}));
  EXPECT_THAT(published(), ElementsAre("8080/tcp to 10.77.0.2:80"));
  EXPECT_EQ(sysctl("ipv4/conf/foreign0/route_localnet"), "1");
  check(engine(), main_part().key, kPublishPart, std::nullopt);
  unpublish();
  EXPECT_EQ(snapshot(), before);
  EXPECT_EQ(sysctl("ipv4/conf/foreign0/route_localnet"), "0");
}

TEST_F(PublishTest, LetsLocalhostInOnceOneContainerWantsIt) {
  attach_by_hand();
  PublishRequest keeps_the_source = publishing({mapping(8080, 80)});
  keeps_the_source.masquerade_local = false;
  publish(engine(), keeps_the_source);
  EXPECT_EQ(sysctl("ipv4/conf/foreign0/route_localnet"), "0");
  PublishRequest second = publishing({mapping(8081, 81)});
  second.key.container_id = "c2";
  publish(engine(), second);
  EXPECT_EQ(sysctl("ipv4/conf/foreign0/route_localnet"), "1");
}

TEST_F(PublishTest, LetsLocalhostInThroughTheLinkOfEachContainer) {
  attach_by_hand();
  const Box other_box;
  attach_by_hand(other_box, "foreign1", "10.78.0.");
  const std::string before = snapshot();
  publish(engine(), publishing({mapping(8080, 80)}));
  PublishRequest second = publishing({mapping(8081, 81)});
  second.key.container_id = "c2";
  second.targets = {address("10.78.0.2")};
  publish(engine(), second);
  EXPECT_EQ(sysctl("ipv4/conf/foreign0/route_localnet"), "1");
  EXPECT_EQ(sysctl("ipv4/conf/foreign1/route_localnet"), "1");
  detach_part(engine(), second.key, kPublishPart);
  unpublish();
  EXPECT_EQ(snapshot(), before);
  EXPECT_EQ(sysctl("ipv4/conf/foreign0/route_localnet"), "0");
  EXPECT_EQ(sysctl("ipv4/conf/foreign1/route_localnet"), "0");
}

TEST_F(PublishTest, TakesBackItsPartAloneWhenItFails) {
  add(main_part());
  const Box other_box;
  AttachmentRequest other = wanted("c2", other_box);
  other.endpoint.ports = {mapping(8081, 80)};
  add(other);
  const std::string before = snapshot();
  const Error error = error_of([&] {
    publish(engine(), publishing({mapping(8080, 80), mapping(8081, 80)}));
  });
  EXPECT_EQ(error.code(), ErrorCode::kPortTaken);
  EXPECT_EQ(snapshot(), before);
  EXPECT_EQ(record_of(main_part())->parts.count(kPublishPart), 0U);
  check(engine(), main_part().key, "bridge", std::nullopt);
}

TEST_F(PublishTest, NeedsAnAddressThatTheHostReaches) {
  PublishRequest request = publishing({mapping(8080, 80)});
  request.targets.clear();
  EXPECT_EQ(error_of([&] { publish(engine(), request); }).code(), ErrorCode::kInvalidConfig);
  request.targets = {address("198.51.100.7")};
  const Error error = error_of([&] { publish(engine(), request); });
  EXPECT_EQ(error.code(), ErrorCode::kInvalidConfig);
  EXPECT_THAT(error.message(), HasSubstr("no route to 198.51.100.7"));
  EXPECT_FALSE(record_of(main_part()) || network_record("blue"));
}

TEST_F(PublishTest, IsRepeatedWithoutHarm) {
  add(main_part());
  publish(engine(), publishing({mapping(8080, 80)}));
  publish(engine(), publishing({mapping(8080, 80)}));
  EXPECT_THAT(published(), ElementsAre("8080/tcp to 10.77.0.2:80"));
  unpublish();
  unpublish();
  EXPECT_THAT(published(), IsEmpty());
}

}  // namespace
}  // namespace netctl::engine
