#include "plugins/engine/parts/firewall.hpp"

#include <sstream>

#include "base/error.hpp"
#include "tests/kernel/engine/chained_fixture.hpp"

namespace netctl::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using testing::output_of;

class FirewallTest : public ChainedTest {
 protected:
  static FirewallRequest request(const AttachmentRequest& main, const std::vector<std::string>& addresses) {
    FirewallRequest request;
    request.key = main.key;
    request.netns_path = main.netns_path;
    request.backend = FirewallBackend::kIptables;
    request.admin_chain = "CNI-ADMIN";
    request.zone = "trusted";
    for (const std::string& address : addresses) request.addresses.push_back(sample::prefix(address));
    request.host_links = {"lo", main.network.bridge};
    return request;
  }
  FirewallRequest alone() { return request(main_part(), {"10.77.0.2/24"}); }
  void undo(const FirewallRequest& request) { detach_part(engine(), request.key, kFirewallPart); }
  std::string drift() {
    return error_of([&] { check(engine(), alone().key, kFirewallPart, std::nullopt); }).details();
  }
  static std::vector<std::string> lines(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    return lines;
  }
  static std::string rules(const std::string& program = "iptables") { return output_of({program, "-S"}); }
  /// iptables itself finds a rule like this one.
  static bool knows(std::vector<std::string> rule, const std::string& program = "iptables") {
    rule.insert(rule.begin(), {program, "-C"});
    return testing::run_command(rule).exit_code == 0;
  }
};

TEST_F(FirewallTest, PlacesTheRulesThatIptablesWouldPlace) {
  attach_by_hand(box());
  output_of({"iptables", "-P", "FORWARD", "DROP"});
  output_of({"iptables", "-A", "FORWARD", "-s", "192.0.2.9", "-j", "ACCEPT"});
  const std::string before = rules();
  open_firewall(engine(), alone());
  EXPECT_THAT(
      lines(rules()),
      ElementsAre("-P INPUT ACCEPT", "-P FORWARD DROP", "-P OUTPUT ACCEPT",
                  "-A FORWARD -s 10.77.0.2/32 -m comment --comment \"netctl: 10.77.0.2/32\" -j ACCEPT",
                  "-A FORWARD -d 10.77.0.2/32 -m conntrack --ctstate RELATED,ESTABLISHED,DNAT -m comment "
                  "--comment \"netctl: 10.77.0.2/32\" -j ACCEPT",
                  "-A FORWARD -s 192.0.2.9/32 -j ACCEPT"));
  EXPECT_TRUE(knows({"FORWARD", "-s", "10.77.0.2/32", "-m", "comment", "--comment", "netctl: 10.77.0.2/32",
                     "-j", "ACCEPT"}));
  EXPECT_TRUE(
      knows({"FORWARD", "-d", "10.77.0.2/32", "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED,DNAT",
             "-m", "comment", "--comment", "netctl: 10.77.0.2/32", "-j", "ACCEPT"}));
  EXPECT_THAT(output_of({"nft", "list", "ruleset"}), HasSubstr("10.77.0.2"));
  check(engine(), alone().key, kFirewallPart, std::nullopt);
  undo(alone());
  EXPECT_EQ(rules(), before);
  undo(alone());
}

TEST_F(FirewallTest, SavesAndRestoresAsAnyRule) {
  attach_by_hand(box());
  output_of({"iptables", "-P", "FORWARD", "DROP"});
  open_firewall(engine(), alone());
  const std::string before = rules();
  output_of({"sh", "-c",
             "iptables-save > /tmp/netctl-saved-$$ && iptables -F && iptables-restore /tmp/netctl-saved-$$; "
             "status=$?; rm /tmp/netctl-saved-$$; exit $status"});
  EXPECT_EQ(rules(), before);
  check(engine(), alone().key, kFirewallPart, std::nullopt);
  undo(alone());
  EXPECT_THAT(rules(), Not(HasSubstr("netctl")));
}

TEST_F(FirewallTest, SharesOneAcceptAmongAllBehindABridge) {
  output_of({"iptables", "-P", "FORWARD", "DROP"});
  const std::string before = rules();
  const Box other_box;
  const AttachmentRequest other = wanted("c2", other_box);
  add(main_part());
  add(other);
  open_firewall(engine(), request(main_part(), {"10.77.0.2/24"}));
  const std::string with_one = rules();
  EXPECT_THAT(with_one, HasSubstr("-A FORWARD -s 10.77.0.0/24 -i br-blue -m comment"));
  EXPECT_THAT(with_one, HasSubstr("-A FORWARD -d 10.77.0.0/24 -o br-blue -m conntrack"));
  open_firewall(engine(), request(other, {"10.77.0.3/24"}));
  EXPECT_EQ(rules(), with_one);
  undo(request(main_part(), {}));
  EXPECT_EQ(rules(), with_one);
  check(engine(), other.key, kFirewallPart, std::nullopt);
  undo(request(other, {}));
  EXPECT_EQ(rules(), before);
}

TEST_F(FirewallTest, ServesBothFamilies) {
  attach_by_hand(box());
  output_of({"iptables", "-P", "FORWARD", "DROP"});
  output_of({"ip6tables", "-P", "FORWARD", "DROP"});
  const std::string before = rules("ip6tables");
  FirewallRequest both = request(main_part(), {"10.77.0.2/24", "fd77::2/63"});
  both.host_links = {};
  open_firewall(engine(), both);
  EXPECT_TRUE(knows(
      {"FORWARD", "-s", "fd77::2/128", "-m", "comment", "--comment", "netctl: fd77::2/128", "-j", "ACCEPT"},
      "ip6tables"));
  EXPECT_THAT(rules(), HasSubstr("netctl: 10.77.0.2/32"));
  check(engine(), both.key, kFirewallPart, std::nullopt);
  undo(both);
  EXPECT_EQ(rules("ip6tables"), before);
}

TEST_F(FirewallTest, WritesPrefixesOfEveryLengthAsIptablesDoes) {
  output_of({"ip", "link", "add", "br-blue", "type", "bridge"});
  attach_by_hand(box());
  output_of({"iptables", "-P", "FORWARD", "DROP"});
  output_of({"ip6tables", "-P", "FORWARD", "DROP"});
  for (const char* address : {"10.77.3.2/8", "10.77.3.2/23", "10.77.3.2/30", "10.77.3.2/31",
                              "fd77:1:2:3::2/48", "fd77:1:2:3::2/63", "fd77:1:2:3::2/127"}) {
    const FirewallRequest one = request(main_part(), {address});
    open_firewall(engine(), one);
    const std::string subnet = sample::prefix(address).network().to_string();
    const std::string program = sample::prefix(address).address.is_v4() ? "iptables" : "ip6tables";
    EXPECT_TRUE(knows({"FORWARD", "-s", subnet, "-i", "br-blue", "-m", "comment", "--comment",
                       "netctl: " + subnet, "-j", "ACCEPT"},
                      program))
        << rules(program);
    check(engine(), one.key, kFirewallPart, std::nullopt);
    undo(one);
    EXPECT_THAT(rules(program), Not(HasSubstr("netctl")));
  }
}

TEST_F(FirewallTest, UsesTheChainThatDockerAsksFirst) {
  attach_by_hand(box());
  output_of({"iptables", "-P", "FORWARD", "DROP"});
  output_of({"iptables", "-N", "DOCKER-USER"});
  output_of({"iptables", "-A", "DOCKER-USER", "-j", "RETURN"});
  output_of({"iptables", "-A", "FORWARD", "-j", "DOCKER-USER"});
  const std::string before = rules();
  open_firewall(engine(), alone());
  EXPECT_TRUE(knows({"DOCKER-USER", "-s", "10.77.0.2/32", "-m", "comment", "--comment",
                     "netctl: 10.77.0.2/32", "-j", "ACCEPT"}));
  EXPECT_THAT(rules(), Not(HasSubstr("-A FORWARD -s")));
  undo(alone());
  EXPECT_EQ(rules(), before);
}

TEST_F(FirewallTest, AsksTheAdministratorsChainFirst) {
  attach_by_hand(box());
  output_of({"iptables", "-P", "FORWARD", "DROP"});
  output_of({"iptables", "-N", "MY-RULES"});
  const std::string before = rules();
  FirewallRequest asked = alone();
  asked.admin_chain = "MY-RULES";
  open_firewall(engine(), asked);
  const std::vector<std::string> placed = lines(rules());
  ASSERT_EQ(placed.size(), 8U) << rules();
  EXPECT_THAT(placed[4], HasSubstr("-s 10.77.0.2/32"));
  EXPECT_THAT(placed[4], HasSubstr("-j MY-RULES"));
  EXPECT_THAT(placed[5], HasSubstr("-j MY-RULES"));
  EXPECT_THAT(placed[6], HasSubstr("-j ACCEPT"));
  undo(asked);
  EXPECT_EQ(rules(), before);
}

TEST_F(FirewallTest, MeetsTheOlderIptables) {
  attach_by_hand(box());
  output_of({"iptables-legacy", "-P", "FORWARD", "DROP"});
  output_of({"iptables-legacy", "-N", "CNI-ADMIN"});
  const std::string before = rules("iptables-legacy");
  open_firewall(engine(), alone());
  EXPECT_TRUE(knows(
      {"FORWARD", "-s", "10.77.0.2/32", "-m", "comment", "--comment", "netctl: 10.77.0.2/32", "-j", "ACCEPT"},
      "iptables-legacy"));
  EXPECT_TRUE(knows({"FORWARD", "-s", "10.77.0.2/32", "-m", "comment", "--comment", "netctl: 10.77.0.2/32",
                     "-j", "CNI-ADMIN"},
                    "iptables-legacy"));
  check(engine(), alone().key, kFirewallPart, std::nullopt);
  const std::string with_it = rules("iptables-legacy");
  open_firewall(engine(), alone());
  EXPECT_EQ(rules("iptables-legacy"), with_it);
  output_of({"iptables-legacy", "-F", "FORWARD"});
  EXPECT_THAT(drift(), HasSubstr("is missing in the chain FORWARD of the older iptables"));
  undo(alone());
  EXPECT_EQ(rules("iptables-legacy"), before);
}

TEST_F(FirewallTest, DoesNothingWhereNobodyDrops) {
  attach_by_hand(box());
  const std::string before = snapshot();
  open_firewall(engine(), alone());
  EXPECT_EQ(snapshot(), before);
  check(engine(), alone().key, kFirewallPart, std::nullopt);
  undo(alone());
  EXPECT_FALSE(record_of(main_part()));
}

TEST_F(FirewallTest, RemovesExactlyItsOwn) {
  attach_by_hand(box());
  output_of({"iptables", "-P", "FORWARD", "DROP"});
  const std::vector<std::vector<std::string>> others = {
      {"-s", "10.77.0.2/32", "-j", "ACCEPT"},
      {"-s", "10.77.0.2/32", "-m", "comment", "--comment", "netctl: 10.77.0.2/32", "-j", "DROP"},
      {"-s", "10.77.0.2/32", "-m", "comment", "--comment", "netctl: 10.77.0.3/32", "-j", "ACCEPT"},
      {"-s", "10.77.0.2/32", "-i", "foreign0", "-m", "comment", "--comment", "netctl: 10.77.0.2/32", "-j",
       "ACCEPT"},
      {"-d", "10.77.0.2/32", "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-m", "comment",
       "--comment", "netctl: 10.77.0.2/32", "-j", "ACCEPT"}};
  for (std::vector<std::string> rule : others) {
    rule.insert(rule.begin(), {"iptables", "-A", "FORWARD"});
    output_of(rule);
  }
  output_of({"nft", "add", "rule", "ip", "filter", "FORWARD", "ip", "saddr", "10.77.0.2", "accept"});
  const std::string before = output_of({"nft", "list", "ruleset"});
  open_firewall(engine(), alone());
  EXPECT_NE(output_of({"nft", "list", "ruleset"}), before);
  undo(alone());
  EXPECT_EQ(output_of({"nft", "list", "ruleset"}), before);
}

TEST_F(FirewallTest, FindsWhatIsMissing) {
  attach_by_hand(box());
  output_of({"iptables", "-P", "FORWARD", "DROP"});
  for (const char* number : {"1", "2"}) {
    open_firewall(engine(), alone());
    check(engine(), alone().key, kFirewallPart, std::nullopt);
    output_of({"iptables", "-D", "FORWARD", number});
    EXPECT_THAT(drift(),
                HasSubstr("the accept for 10.77.0.2/32 is missing in the chain FORWARD of iptables"));
    open_firewall(engine(), alone());
    check(engine(), alone().key, kFirewallPart, std::nullopt);
  }
  output_of({"nft", "delete", "table", "ip", "filter"});
  EXPECT_THAT(drift(), HasSubstr("is missing in the chain FORWARD"));
  undo(alone());
  EXPECT_FALSE(record_of(main_part()));
}

TEST_F(FirewallTest, IsUndoneWhenItsProcessDies) {
  attach_by_hand(box());
  output_of({"iptables", "-P", "FORWARD", "DROP"});
  const std::string before = rules();
  die_after([&](Host& host) {
    open_firewall(host, alone());
    host.live().write([&](ipam::Transaction& store) {
      ipam::AttachmentRecord record = store.find_attachment(alone().key).value();
      record.parts[kFirewallPart] = ipam::State::kAdding;
      store.put_attachment(record);
    });
    ::_exit(0);
  });
  EXPECT_NE(rules(), before);
  EXPECT_EQ(collect_garbage(engine(), std::nullopt).attachments, 1U);
  EXPECT_EQ(rules(), before);
}

TEST_F(FirewallTest, OfTheDeadIsCollected) {
  Box mortal;
  attach_by_hand(mortal);
  output_of({"iptables", "-P", "FORWARD", "DROP"});
  const std::string before = rules();
  FirewallRequest one = alone();
  one.netns_path = mortal.path();
  open_firewall(engine(), one);
  mortal.die();
  wait_until_gone("foreign0");
  EXPECT_EQ(collect_garbage(engine(), std::nullopt).attachments, 1U);
  EXPECT_EQ(rules(), before);
}

TEST_F(FirewallTest, SaysWhenFirewalldIsWantedAndDoesNotRun) {
  attach_by_hand(box());
  ASSERT_EQ(::setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus", 1), 0);
  FirewallRequest wanted = alone();
  wanted.backend = FirewallBackend::kFirewalld;
  EXPECT_EQ(error_of([&] { open_firewall(engine(), wanted); }).code(), ErrorCode::kNotAvailable);
  EXPECT_EQ(error_of([] { require_backend(FirewallBackend::kFirewalld); }).code(), ErrorCode::kNotAvailable);
  EXPECT_FALSE(record_of(main_part()));
  wanted.backend = FirewallBackend::kAuto;
  open_firewall(engine(), wanted);
  undo(wanted);
}

}  // namespace
}  // namespace netctl::engine
