// How an executable of a chain joins, leaves and is cleared out of an attachment's record.

#include "plugins/engine/part.hpp"

#include "base/error.hpp"
#include "plugins/engine/parts/tuning.hpp"
#include "plugins/engine/publish.hpp"
#include "tests/kernel/engine/chained_fixture.hpp"

namespace netctl::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

class PartTest : public ChainedTest {
 protected:
  PartRequest joining() { return {main_part().key, kTuningPart, box().path(), ""}; }
  TuningRequest mtu(std::uint32_t bytes) {
    TuningRequest request;
    request.key = main_part().key;
    request.netns_path = box().path();
    request.mtu_bytes = bytes;
    return request;
  }
  /// Steps that set the MTU as `tuning` does, and end as `at_the_end` does.
  PartSteps steps(const std::function<void()>& at_the_end) {
    return {.prepare =
                [] {
                  return nlohmann::json{{"link", {{"mtu", {{"before", 1500}, {"set", 1400}}}}},
                                        {"sysctls", nlohmann::json::array()}};
                },
            .apply =
                [this, at_the_end](const ipam::AttachmentRecord&, nlohmann::json&) {
                  box().run({"ip", "link", "set", "eth0", "mtu", "1400"});
                  at_the_end();
                }};
  }
  void leave() { detach_part(engine(), main_part().key, kTuningPart); }
};

TEST_F(PartTest, JoinsAnAttachmentAndLeavesIt) {
  add(main_part());
  tune(engine(), mtu(1400));
  EXPECT_THAT(record_of(main_part())->parts,
              ElementsAre(Pair("bridge", ipam::State::kReady), Pair(kTuningPart, ipam::State::kReady)));
  EXPECT_EQ(eth0().value("mtu", 0), 1400);
  leave();
  EXPECT_THAT(record_of(main_part())->parts, ElementsAre(Pair("bridge", ipam::State::kReady)));
  EXPECT_FALSE(record_of(main_part())->extra.contains("partStates"));
  EXPECT_EQ(eth0().value("mtu", 0), 1500);
  leave();
  check(engine(), main_part().key, "bridge", std::nullopt);
}

TEST_F(PartTest, OutlivesTheMainPart) {
  const std::string before = snapshot();
  add(main_part());
  tune(engine(), mtu(1400));
  del(main_part());
  EXPECT_THAT(record_of(main_part())->parts, ElementsAre(Pair(kTuningPart, ipam::State::kReady)));
  leave();
  EXPECT_FALSE(record_of(main_part()));
  EXPECT_EQ(snapshot(), before);
}

TEST_F(PartTest, HasARecordOfItsOwnBehindAPluginThatIsNotOurs) {
  attach_by_hand(box());
  tune(engine(), mtu(1400));
  check(engine(), main_part().key, kTuningPart, std::nullopt);
  EXPECT_EQ(record_of(main_part())->netns_cookie, box().netns().cookie());
  EXPECT_TRUE(collect_garbage(engine(), std::nullopt).problems.empty());
  EXPECT_EQ(eth0().value("mtu", 0), 1400) << "gc took from the living";
  leave();
  EXPECT_FALSE(record_of(main_part()) || network_record("blue"));
}

TEST_F(PartTest, IsTakenBackAloneWhenItFails) {
  AttachmentRequest request = main_part();
  request.endpoint.ports = {mapping(8080, 80)};
  add(request);
  const Error error = error_of([&] {
    add_part(engine(), joining(), steps([] { throw Error(ErrorCode::kKernel, "the last step failed"); }));
  });
  EXPECT_THAT(error.message(), HasSubstr("the last step failed"));
  EXPECT_EQ(eth0().value("mtu", 0), 1500);
  EXPECT_THAT(record_of(main_part())->parts, ElementsAre(Pair("bridge", ipam::State::kReady)));
  EXPECT_THAT(published(), ElementsAre("8080/tcp to 10.77.0.2:80"));
}

TEST_F(PartTest, LeavesNoRecordWhenItCannotEvenLook) {
  attach_by_hand(box());
  PartSteps blind = steps([] {});
  blind.prepare = []() -> nlohmann::json { throw Error(ErrorCode::kInvalidConfig, "nothing to see"); };
  EXPECT_EQ(error_of([&] { add_part(engine(), joining(), blind); }).code(), ErrorCode::kInvalidConfig);
  EXPECT_FALSE(record_of(main_part()));
  EXPECT_EQ(eth0().value("mtu", 0), 1500);
}

TEST_F(PartTest, OfAProcessThatDiedIsUndoneAloneByGc) {
  add(main_part());
  die_after([&](Host& host) { add_part(host, joining(), steps([] { ::_exit(0); })); });
  EXPECT_EQ(eth0().value("mtu", 0), 1400);
  EXPECT_EQ(record_of(main_part())->parts.at(kTuningPart), ipam::State::kAdding);
  EXPECT_EQ(error_of([&] { check(engine(), main_part().key, kTuningPart, std::nullopt); }).code(),
            ErrorCode::kDrift);
  EXPECT_EQ(collect_garbage(engine(), std::nullopt).attachments, 1U);
  EXPECT_EQ(eth0().value("mtu", 0), 1500);
  EXPECT_THAT(record_of(main_part())->parts, ElementsAre(Pair("bridge", ipam::State::kReady)));
  check(engine(), main_part().key, "bridge", std::nullopt);
}

TEST_F(PartTest, OfAProcessThatDiedIsUndoneByTheNextAdd) {
  attach_by_hand(box());
  die_after([&](Host& host) { add_part(host, joining(), steps([] { ::_exit(0); })); });
  tune(engine(), mtu(1300));
  EXPECT_EQ(eth0().value("mtu", 0), 1300);
  leave();
  EXPECT_EQ(eth0().value("mtu", 0), 1500) << "the second ADD took what the first had set for the original";
}

TEST_F(PartTest, AddedTwiceKeepsTheOriginalValues) {
  add(main_part());
  tune(engine(), mtu(1400));
  tune(engine(), mtu(1300));
  check(engine(), main_part().key, kTuningPart, std::nullopt);
  leave();
  EXPECT_EQ(eth0().value("mtu", 0), 1500);
}

TEST_F(PartTest, DoesNotJoinTheRecordOfAContainerThatWasThereBefore) {
  {
    Box earlier;
    attach_by_hand(earlier);
    TuningRequest old = mtu(1400);
    old.netns_path = earlier.path();
    tune(engine(), old);
    earlier.die();
    wait_until_gone("foreign0");
  }
  attach_by_hand(box(), "foreign1");
  PublishRequest ports;
  ports.key = main_part().key;
  ports.netns_path = box().path();
  ports.targets = {sample::address("10.77.0.2")};
  ports.ports = {mapping(8080, 80)};
  publish(engine(), ports);
  EXPECT_THAT(record_of(main_part())->parts, ElementsAre(Pair(kPublishPart, ipam::State::kReady)));
  tune(engine(), mtu(1300));
  EXPECT_EQ(record_of(main_part())->netns_cookie, box().netns().cookie());
  EXPECT_EQ(collect_garbage(engine(), std::nullopt).attachments, 0U);
  EXPECT_THAT(published(), ElementsAre("8080/tcp to 10.77.0.2:80"));
}

TEST_F(PartTest, NeedsNoContainerToBeUndone) {
  Box mortal;
  attach_by_hand(mortal);
  TuningRequest request = mtu(1400);
  request.netns_path = mortal.path();
  tune(engine(), request);
  mortal.die();
  leave();
  EXPECT_FALSE(record_of(main_part()));
}

TEST_F(PartTest, OfTheDeadIsCollected) {
  Box mortal;
  attach_by_hand(mortal);
  TuningRequest request = mtu(1400);
  request.netns_path = mortal.path();
  tune(engine(), request);
  mortal.die();
  EXPECT_EQ(collect_garbage(engine(), std::nullopt).attachments, 1U);
  EXPECT_FALSE(record_of(main_part()));
}

TEST_F(PartTest, OfANewerVersionIsNotGuessedAt) {
  add(main_part());
  change_record(main_part(), [](ipam::AttachmentRecord& record) {
    record.parts["teleport"] = ipam::State::kDeleting;
    set_part_state(record, "teleport", {{"x", 1}});
  });
  EXPECT_EQ(error_of([&] { (void)part_kind("teleport"); }).code(), ErrorCode::kIo);
  EXPECT_THAT(collect_garbage(engine(), std::nullopt).problems, ::testing::SizeIs(1));
  EXPECT_TRUE(record_of(main_part())->parts.contains("teleport"));
}

}  // namespace
}  // namespace netctl::engine
