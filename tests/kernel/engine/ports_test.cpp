// Published ports of an attachment: elements of the table, claims against other containers.

#include "plugins/engine/network.hpp"
#include "tests/kernel/engine/engine_fixture.hpp"

namespace netctl::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::output_of;

class PortsTest : public EngineTest {
 protected:
  static AttachmentRequest publishing(const std::string& id, const Box& box,
                                      std::vector<cni::PortMapping> ports) {
    AttachmentRequest request = wanted(id, box);
    request.endpoint.ports = std::move(ports);
    return request;
  }
};

TEST_F(PortsTest, ArePublishedAndWithdrawn) {
  const Box box;
  cni::PortMapping udp_range = mapping(5000, 6000);
  udp_range.protocol = "udp";
  udp_range.count = 2;
  cni::PortMapping local = mapping(8443, 443);
  local.host_ip = sample::address("127.0.0.1");
  const AttachmentRequest request = publishing("c1", box, {mapping(8080, 80), udp_range, local});
  const cni::Result result = add(request);
  EXPECT_THAT(published(), ElementsAre("127.0.0.1:8443/tcp to 10.77.0.2:443", "5000/udp to 10.77.0.2:6000",
                                       "5001/udp to 10.77.0.2:6001", "8080/tcp to 10.77.0.2:80"));
  EXPECT_TRUE(result.netctl.is_null());  // the runtime knows them: none was chosen
  del(request);
  EXPECT_THAT(published(), IsEmpty());
}

TEST_F(PortsTest, AreReachedThroughEveryAddressOfTheHost) {
  const Box box;
  AttachmentRequest request = wanted_dual_stack("c1", box);
  request.endpoint.ports = {mapping(8080, 80)};
  add(request);
  EXPECT_THAT(published(), ElementsAre("8080/tcp to 10.77.0.2:80", "8080/tcp to fd77::2:80"));
}

TEST_F(PortsTest, AreChosenWhereNoneIsNamed) {
  const Box one, other;
  const AttachmentRequest first = publishing("c1", one, {mapping(0, 80), mapping(0, 81)});
  const AttachmentRequest second = publishing("c2", other, {mapping(0, 80)});
  const nlohmann::json ports = add(first).netctl.at("ports");
  const nlohmann::json more_ports = add(second).netctl.at("ports");
  EXPECT_EQ(ports.at(0).at("hostPort"), 32768);
  EXPECT_EQ(ports.at(1).at("hostPort"), 32769);
  EXPECT_EQ(more_ports.at(0).at("hostPort"), 32770);
  EXPECT_EQ(published().size(), 3U);
  check(engine(), first.key, "bridge", std::nullopt);
}

TEST_F(PortsTest, AreRefusedWhenALivingContainerHasThem) {
  const Box one, other;
  const AttachmentRequest first = publishing("c1", one, {mapping(8080, 80)});
  add(first);
  const std::string before = snapshot();
  cni::PortMapping local = mapping(8080, 81);
  local.host_ip = sample::address("127.0.0.1");  // overlaps with every address
  for (const cni::PortMapping& port : {mapping(8080, 80), local}) {
    const AttachmentRequest second = publishing("c2", other, {mapping(9090, 90), port});
    const Error error = refusal(second);
    EXPECT_EQ(error.code(), ErrorCode::kPortTaken);
    EXPECT_THAT(error.message(), HasSubstr("8080/tcp is already published by container name-of-c1"));
    EXPECT_FALSE(record_of(second));
  }
  EXPECT_EQ(snapshot(), before);
}

TEST_F(PortsTest, AreTakenOverFromADeadContainer) {
  Box box;
  const AttachmentRequest dead = publishing("c1", box, {mapping(8080, 80)});
  add(dead);
  kill(box, dead);
  const Box other;
  const AttachmentRequest next = publishing("c2", other, {mapping(8080, 80)});
  add(next);
  EXPECT_FALSE(record_of(dead));
  EXPECT_THAT(published(), ElementsAre("8080/tcp to 10.77.0.3:80"));
  check(engine(), next.key, "bridge", std::nullopt);
}

TEST_F(PortsTest, AreAllThereAgainAfterTheTableWasDeleted) {
  const Box one, other, third, elsewhere;
  const AttachmentRequest first = publishing("c1", one, {mapping(8080, 80)});
  AttachmentRequest second = wanted("c2", other, "red");
  second.addressing.sets = {{{sample::prefix("10.78.0.0/24"), {}, {}, {}}}};
  second.endpoint.ports = {mapping(8081, 80)};
  add(first);
  add(second);
  output_of({"nft", "delete", "table", "inet", "netctl"});
  const AttachmentRequest next = publishing("c3", third, {mapping(8082, 80)});
  add(next);
  EXPECT_THAT(published(), ElementsAre("8080/tcp to 10.77.0.2:80", "8081/tcp to 10.78.0.2:80",
                                       "8082/tcp to 10.77.0.3:80"));
  for (const AttachmentRequest& request : {first, second, next}) {
    check(engine(), request.key, "bridge", std::nullopt);
  }
}

TEST_F(PortsTest, AreAllThereAgainAfterTheRulesetWasFlushedAndANetworkWithoutPortsCameBy) {
  const Box one, other;
  const AttachmentRequest first = publishing("c1", one, {mapping(8080, 80)});
  add(first);
  output_of({"nft", "flush", "ruleset"});
  add(wanted("c2", other));
  EXPECT_THAT(published(), ElementsAre("8080/tcp to 10.77.0.2:80"));
  check(engine(), first.key, "bridge", std::nullopt);
}

TEST_F(PortsTest, GoAlsoWhenTheTableWasDeleted) {
  const Box box;
  const AttachmentRequest request = publishing("c1", box, {mapping(8080, 80)});
  add(request);
  output_of({"nft", "delete", "table", "inet", "netctl"});
  del(request);
  EXPECT_FALSE(record_of(request) || network_record("blue") || link("br-blue"));
  EXPECT_THAT(output_of({"nft", "list", "tables"}), IsEmpty());
}

TEST_F(PortsTest, LeaveTheOperatorsChainsAlone) {
  const Box box;
  const AttachmentRequest request = publishing("c1", box, {mapping(8080, 80)});
  add(request);
  output_of({"nft", "add", "rule", "inet", "netctl", "user-forward", "counter"});
  del(request);
  EXPECT_THAT(output_of({"nft", "list", "chain", "inet", "netctl", "user-forward"}), HasSubstr("counter"));
  EXPECT_THAT(published(), IsEmpty());
}

}  // namespace
}  // namespace netctl::engine
