#include "plugins/engine/gc.hpp"

#include "plugins/engine/identity.hpp"
#include "plugins/engine/publish.hpp"
#include "tests/kernel/engine/engine_fixture.hpp"

namespace netctl::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::output_of;

class GarbageTest : public EngineTest {
 protected:
  AttachmentRequest publishing(const std::string& id, const Box& box, std::uint16_t host_port) {
    AttachmentRequest request = wanted(id, box);
    request.endpoint.ports = {mapping(host_port, 80)};
    return request;
  }
  GcReport collect() {
    GcReport report = collect_garbage(engine(), std::nullopt);
    EXPECT_THAT(report.problems, IsEmpty());
    return report;
  }
};

TEST_F(GarbageTest, IsNothingWhereAllLives) {
  const Box one, other;
  add(publishing("c1", one, 8080));
  add(wanted_dual_stack("c2", other));
  const std::string before = snapshot();
  const GcReport report = collect();
  EXPECT_EQ(report.attachments + report.links + report.elements + report.networks, 0U);
  EXPECT_EQ(snapshot(), before);
}

TEST_F(GarbageTest, IsNothingInAnEmptyHost) {
  const std::string before = snapshot();
  const GcReport report = collect();
  EXPECT_EQ(report.attachments + report.links + report.elements + report.networks, 0U);
  EXPECT_EQ(snapshot(), before);
}

TEST_F(GarbageTest, IsADeadContainerButNotALivingOne) {
  Box dead_box;
  const Box living_box;
  const AttachmentRequest dead = publishing("c1", dead_box, 8080);
  const AttachmentRequest living = publishing("c2", living_box, 8081);
  add(dead);
  add(living);
  kill(dead_box, dead);
  EXPECT_EQ(collect().attachments, 1U);
  EXPECT_FALSE(record_of(dead));
  EXPECT_THAT(published(), ElementsAre("8081/tcp to 10.77.0.3:80"));
  check(engine(), living.key, "bridge", std::nullopt);
}

TEST_F(GarbageTest, IsFoundByTheNextAddOnTheNetwork) {
  Box first_box, second_box;
  const Box next_box, elsewhere;
  const AttachmentRequest first = publishing("c1", first_box, 8080);
  const AttachmentRequest second = publishing("c2", second_box, 8081);
  add(first);
  add(second);
  kill(first_box, first);
  kill(second_box, second);
  AttachmentRequest other = wanted("c9", elsewhere, "red");
  other.addressing.sets = {{{sample::prefix("10.78.0.0/24"), {}, {}, {}}}};
  add(other);
  EXPECT_TRUE(record_of(first) && record_of(second));  // another network's business
  add(wanted("c3", next_box));
  EXPECT_FALSE(record_of(first) || record_of(second));
  EXPECT_THAT(published(), IsEmpty());
}

TEST_F(GarbageTest, IsTheNetworkWithItsLastDeadContainer) {
  const std::string before = snapshot();
  Box box;
  const AttachmentRequest request = publishing("c1", box, 8080);
  add(request);
  kill(box, request);
  const GcReport report = collect();
  EXPECT_EQ(report.attachments, 1U);
  EXPECT_EQ(report.networks, 1U);
  EXPECT_EQ(snapshot(), before);
}

TEST_F(GarbageTest, IsAnAttachmentWhoseAddOrDelDied) {
  for (const ipam::State state : {ipam::State::kAdding, ipam::State::kDeleting}) {
    const std::string before = snapshot();
    const Box box;
    const AttachmentRequest request = publishing("c1", box, 8080);
    add(request);
    change_record(request, [&](ipam::AttachmentRecord& record) { record.parts["bridge"] = state; });
    EXPECT_EQ(collect().attachments, 1U);
    EXPECT_FALSE(record_of(request));
    EXPECT_EQ(snapshot(), before);
    EXPECT_FALSE(box.has_interface());
  }
}

TEST_F(GarbageTest, IsARecordOfAnAddThatDiedBeforeItMadeAnything) {
  const Box box;
  const AttachmentRequest request = wanted("c1", box);
  ipam::AttachmentRecord record;
  record.key = request.key;
  record.netns_path = box.path();
  record.netns_cookie = box.netns().cookie();
  record.host_ifname = host_ifname(request.key);
  record.parts["bridge"] = ipam::State::kAdding;
  engine().live().write([&](ipam::Transaction& store) { store.put_attachment(record); });
  EXPECT_EQ(collect().attachments, 1U);
  EXPECT_FALSE(record_of(request));
}

TEST_F(GarbageTest, IsALinkThatAnAddLeftBeforeItWasNamed) {
  const Box box;
  const AttachmentRequest request = wanted("c1", box);
  add(request);
  output_of({"ip", "link", "set", host_end(request)->name, "alias", ""});
  change_record(request,
                [](ipam::AttachmentRecord& record) { record.parts["bridge"] = ipam::State::kAdding; });
  EXPECT_EQ(collect().attachments, 1U);
  EXPECT_FALSE(host_end(request));
}

TEST_F(GarbageTest, IsOnlyThePartThatDied) {
  const Box box;
  const AttachmentRequest request = wanted("c1", box);
  add(request);
  PublishRequest ports;
  ports.key = request.key;
  ports.netns_path = box.path();
  ports.targets = {sample::address("10.77.0.2")};
  ports.ports = {mapping(8080, 80)};
  publish(engine(), ports);
  change_record(request,
                [](ipam::AttachmentRecord& record) { record.parts["portmap"] = ipam::State::kAdding; });
  EXPECT_EQ(collect().attachments, 1U);
  EXPECT_THAT(published(), IsEmpty());
  check(engine(), request.key, "bridge", std::nullopt);
}

TEST_F(GarbageTest, IsNotWhatIsBeingWorkedOn) {
  const Box box;
  const AttachmentRequest request = wanted("c1", box);
  add(request);
  change_record(request,
                [](ipam::AttachmentRecord& record) { record.parts["bridge"] = ipam::State::kDeleting; });
  {
    const HeldLock lock = engine().live().lock_attachment(request.key);
    EXPECT_EQ(collect().attachments, 0U);
    EXPECT_TRUE(host_end(request));
  }
  EXPECT_EQ(collect().attachments, 1U);
}

TEST_F(GarbageTest, IsALinkOfOursWithoutARecord) {
  const Box box;
  const AttachmentRequest request = wanted("c1", box);
  add(request);
  engine().live().write([&](ipam::Transaction& store) { store.erase_attachment(request.key); });
  output_of({"ip", "link", "add", "others0", "type", "veth", "peer", "name", "others1"});
  output_of({"ip", "link", "set", "others0", "alias", "netctl of somebody else"});
  const GcReport report = collect();
  EXPECT_EQ(report.links, 1U);
  EXPECT_EQ(report.networks, 1U);
  EXPECT_FALSE(host_end(request) || link("br-blue"));
  EXPECT_TRUE(link("others0"));
}

TEST_F(GarbageTest, IsAnElementWithoutARecord) {
  const Box one, other;
  const AttachmentRequest lost = publishing("c1", one, 8080);
  add(lost);
  add(publishing("c2", other, 8081));
  change_record(lost, [](ipam::AttachmentRecord& record) { record.ports.clear(); });
  EXPECT_EQ(collect().elements, 1U);
  EXPECT_THAT(published(), ElementsAre("8081/tcp to 10.77.0.3:80"));
}

TEST_F(GarbageTest, IsNotARangeThatIsPublished) {
  const Box box;
  AttachmentRequest request = publishing("c1", box, 8000);
  request.endpoint.ports.front().count = 5;
  cni::PortMapping same_numbers = mapping(9000, 9000);
  same_numbers.count = 5;
  request.endpoint.ports.push_back(same_numbers);
  add(request);
  const std::vector<std::string> before = published();
  EXPECT_EQ(collect().elements, 0U);
  EXPECT_EQ(published(), before);
}

TEST_F(GarbageTest, IsATableOfANetworkThatNobodyKnows) {
  const Box box;
  const AttachmentRequest request = publishing("c1", box, 8080);
  add(request);
  engine().live().write([&](ipam::Transaction& store) {
    store.erase_attachment(request.key);
    store.erase_network("blue");
  });
  EXPECT_GE(collect().elements, 1U);
  EXPECT_THAT(output_of({"nft", "list", "ruleset"}), IsEmpty());
}

TEST_F(GarbageTest, IsLookedForInOneNetworkOnly) {
  Box one, other;
  const AttachmentRequest blue = wanted("c1", one, "blue");
  AttachmentRequest red = wanted("c2", other, "red");
  red.addressing.sets = {{{sample::prefix("10.78.0.0/24"), {}, {}, {}}}};
  add(blue);
  add(red);
  kill(one, blue);
  kill(other, red);
  EXPECT_EQ(collect_garbage(engine(), "red").attachments, 1U);
  EXPECT_TRUE(record_of(blue));
  EXPECT_FALSE(record_of(red) || network_record("red"));
}

TEST_F(GarbageTest, IsAllThatTheRuntimeDoesNotName) {
  const Box one, other, third;
  const AttachmentRequest named = publishing("c1", one, 8080);
  const AttachmentRequest unnamed = publishing("c2", other, 8081);
  AttachmentRequest of_another_network = wanted("c3", third, "red");
  of_another_network.addressing.sets = {{{sample::prefix("10.78.0.0/24"), {}, {}, {}}}};
  add(named);
  add(unnamed);
  add(of_another_network);
  const GcReport report = collect_all_but(engine(), "blue", {{"c1", "eth0"}, {"c2", "eth1"}});
  EXPECT_EQ(report.attachments, 1U);
  EXPECT_THAT(report.problems, IsEmpty());
  EXPECT_FALSE(record_of(unnamed) || host_end(unnamed));
  EXPECT_THAT(published(), ElementsAre("8080/tcp to 10.77.0.2:80"));
  check(engine(), named.key, "bridge", std::nullopt);
  check(engine(), of_another_network.key, "bridge", std::nullopt);
}

TEST_F(GarbageTest, IsEverythingWhenTheRuntimeNamesNothing) {
  const std::string before = snapshot();
  const Box one, other;
  add(publishing("c1", one, 8080));
  add(publishing("c2", other, 8081));
  EXPECT_EQ(collect_all_but(engine(), "blue", {}).attachments, 2U);
  EXPECT_EQ(snapshot(), before);
}

TEST_F(GarbageTest, IsNotWhatTheRuntimeIsMakingJustNow) {
  const Box box;
  const AttachmentRequest request = wanted("c1", box);
  add(request);
  change_record(request,
                [](ipam::AttachmentRecord& record) { record.created_boot_nanoseconds += 3'600'000'000'000; });
  EXPECT_EQ(collect_all_but(engine(), "blue", {}).attachments, 0U);
  check(engine(), request.key, "bridge", std::nullopt);
}

}  // namespace
}  // namespace netctl::engine
