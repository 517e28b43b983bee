#include "plugins/engine/parts/tuning.hpp"

#include <filesystem>

#include "base/error.hpp"
#include "netlink/sysctl.hpp"
#include "plugins/tuning/sysctl_allowlist.hpp"
#include "tests/kernel/engine/chained_fixture.hpp"

namespace netctl::engine {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

class TuningTest : public ChainedTest {
 protected:
  TuningRequest request() {
    TuningRequest request;
    request.key = main_part().key;
    request.netns_path = box().path();
    return request;
  }
  TuningRequest everything() {
    TuningRequest all = request();
    all.sysctls = {{"core/somaxconn", "321"},
                   {"ipv4/conf/IFNAME/arp_filter", "1"},
                   {"ipv4/ip_local_port_range", "20000 30000"}};
    all.mac = MacAddress::parse("02:00:00:00:00:77");
    all.mtu_bytes = 1400;
    all.promiscuous = true;
    all.all_multicast = true;
    all.tx_queue_length = 77;
    return all;
  }
  void expect_everything() {
    const nlohmann::json link = eth0();
    EXPECT_EQ(link.value("address", ""), "02:00:00:00:00:77");
    EXPECT_EQ(link.value("mtu", 0), 1400);
    EXPECT_EQ(link.value("txqlen", 0), 77);
    EXPECT_THAT(link.at("flags").dump(), HasSubstr("PROMISC"));
    EXPECT_THAT(link.at("flags").dump(), HasSubstr("ALLMULTI"));
    EXPECT_EQ(inside("core/somaxconn"), "321");
    EXPECT_EQ(inside("ipv4/conf/eth0/arp_filter"), "1");
    EXPECT_EQ(inside("ipv4/ip_local_port_range"), "20000\t30000");
  }
  /// Of the container: what `everything()` changes.
  std::string state() {
    const nlohmann::json link = eth0();
    return link.value("address", "") + link.at("flags").dump() + link.dump() + inside("core/somaxconn") +
           inside("ipv4/conf/eth0/arp_filter") + inside("ipv4/ip_local_port_range");
  }
  void undo() { detach_part(engine(), request().key, kTuningPart); }
  std::string drift() {
    return error_of([&] { check(engine(), request().key, kTuningPart, std::nullopt); }).details();
  }
};

TEST_F(TuningTest, SetsEverythingAndPutsItBack) {
  add(main_part());
  const std::string before = state();
  tune(engine(), everything());
  expect_everything();
  check(engine(), request().key, kTuningPart, std::nullopt);
  undo();
  EXPECT_EQ(state(), before);
}

TEST_F(TuningTest, PutsEverythingBackWhenTheKernelRefusesTheLast) {
  attach_by_hand(box());
  const std::string before = state();
  TuningRequest bad = everything();
  bad.sysctls.emplace_back("ipv4/tcp_congestion_control", "nonsense");
  const Error error = error_of([&] { tune(engine(), bad); });
  EXPECT_THAT(error.message(), HasSubstr("net/ipv4/tcp_congestion_control"));
  EXPECT_EQ(state(), before);
  EXPECT_FALSE(record_of(main_part()));
}

TEST_F(TuningTest, SaysWhatItCannotFind) {
  TuningRequest nowhere = request();
  nowhere.mtu_bytes = 1400;
  EXPECT_THAT(error_of([&] { tune(engine(), nowhere); }).message(), HasSubstr("no interface eth0"));
  attach_by_hand(box());
  TuningRequest unknown = request();
  unknown.sysctls = {{"ipv4/there_is_no_such_key", "1"}};
  const Error error = error_of([&] { tune(engine(), unknown); });
  EXPECT_EQ(error.code(), ErrorCode::kInvalidConfig);
  EXPECT_THAT(error.message(), HasSubstr("no sysctl net/ipv4/there_is_no_such_key"));
  TuningRequest refused = request();
  refused.sysctls = {{"core/somaxconn", "many"}};
  EXPECT_EQ(error_of([&] { tune(engine(), refused); }).code(), ErrorCode::kInvalidConfig);
  EXPECT_FALSE(record_of(main_part()));
}

TEST_F(TuningTest, NeverTouchesTheHost) {
  attach_by_hand(box());
  TuningRequest own = request();
  own.netns_path = "/proc/self/ns/net";
  own.sysctls = {{"core/somaxconn", "321"}};
  EXPECT_EQ(error_of([&] { tune(engine(), own); }).code(), ErrorCode::kInvalidNetns);
  const std::string before = sysctl("core/somaxconn");
  TuningRequest inside_only = request();
  inside_only.sysctls = own.sysctls;
  tune(engine(), inside_only);
  EXPECT_EQ(sysctl("core/somaxconn"), before);
  EXPECT_EQ(inside("core/somaxconn"), "321");
}

TEST_F(TuningTest, FindsDriftOfEachKind) {
  attach_by_hand(box());
  const struct {
    std::vector<std::string> damage;
    const char* finding;
  } cases[] = {
      {{"ip", "link", "set", "eth0", "address", "02:00:00:00:00:78"},
       "mac of eth0 is 02:00:00:00:00:78 instead of"},
      {{"ip", "link", "set", "eth0", "mtu", "1401"}, "mtu of eth0 is 1401 instead of 1400"},
      {{"ip", "link", "set", "eth0", "promisc", "off"}, "promisc of eth0 is false instead of true"},
      {{"ip", "link", "set", "eth0", "allmulticast", "off"}, "allmulti of eth0 is false instead of true"},
      {{"ip", "link", "set", "eth0", "txqueuelen", "78"}, "txQLen of eth0 is 78 instead of 77"},
      {{"sysctl", "-q", "-w", "net.core.somaxconn=322"},
       "sysctl net/core/somaxconn is \"322\" instead of \"321\""},
      {{"sysctl", "-q", "-w", "net.ipv4.conf.eth0.arp_filter=0"}, "net/ipv4/conf/eth0/arp_filter is \"0\""},
  };
  for (const auto& one : cases) {
    tune(engine(), everything());
    check(engine(), request().key, kTuningPart, std::nullopt);
    box().run(one.damage);
    EXPECT_THAT(drift(), HasSubstr(one.finding));
    undo();
  }
  tune(engine(), everything());
  box().run({"ip", "link", "set", "eth0", "down"});
  box().run({"ip", "link", "set", "eth0", "name", "eth9"});
  EXPECT_THAT(drift(), HasSubstr("no interface eth0"));
}

TEST_F(TuningTest, LeavesWhatOthersChangedSince) {
  attach_by_hand(box());
  tune(engine(), everything());
  box().run({"ip", "link", "set", "eth0", "mtu", "1350"});
  box().run({"sysctl", "-q", "-w", "net.core.somaxconn=99"});
  undo();
  EXPECT_EQ(eth0().value("mtu", 0), 1350);
  EXPECT_EQ(inside("core/somaxconn"), "99");
  EXPECT_EQ(inside("ipv4/conf/eth0/arp_filter"), "0");
}

TEST_F(TuningTest, IsUndoneWhenItsProcessDiesInTheMiddle) {
  attach_by_hand(box());
  const std::string before = state();
  die_after([&](Host& host) {
    TuningRequest all = everything();
    tune(host, all);
    // As it stands in the record while ADD is at work.
    host.live().write([&](ipam::Transaction& store) {
      ipam::AttachmentRecord record = store.find_attachment(all.key).value();
      record.parts[kTuningPart] = ipam::State::kAdding;
      nlohmann::json unfinished = part_state(record, kTuningPart);
      unfinished.erase("applied");
      for (auto& one : unfinished["sysctls"]) {
        if (one["path"] == "ipv4/ip_local_port_range") one["set"] = "20000 30000";
      }
      set_part_state(record, kTuningPart, unfinished);
      store.put_attachment(record);
    });
    ::_exit(0);
  });
  EXPECT_EQ(collect_garbage(engine(), std::nullopt).attachments, 1U);
  EXPECT_EQ(state(), before);
  EXPECT_FALSE(record_of(main_part()));
}

/// Two values that a key may take; numbers only.
std::vector<std::string> other_values(const std::string& value) {
  if (value.empty() || value.find_first_not_of("0123456789") != std::string::npos || value.size() > 9)
    return {};
  const long number = std::stol(value);
  return {std::to_string(number + 1), std::to_string(number > 0 ? number - 1 : 2)};
}

// The default list is a claim about the kernel: none of these files is shared with another namespace.
TEST_F(TuningTest, AllowsByDefaultOnlyWhatBelongsToOneNamespace) {
  attach_by_hand(box());
  std::size_t tried = 0;
  std::vector<std::string> paths;
  box().netns().run([&] {
    const std::string root = "/proc/sys/net/";
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
      const std::string path = entry.path().string().substr(root.size());
      const bool writable =
          entry.is_regular_file() && (entry.status().permissions() & std::filesystem::perms::owner_write) !=
                                         std::filesystem::perms::none;
      if (writable && tuning::is_allowed_by_default(path)) paths.push_back(path);
    }
  });
  for (const std::string& path : paths) {
    if (path.find("stable_secret") != std::string::npos) continue;  // unreadable until it is set
    const std::string outside_before = sysctl(path);
    const std::string before = inside(path);
    for (const std::string& value : other_values(before)) {
      bool taken = false;
      box().netns().run([&] {
        try {
          netlink::write_sysctl(path, value);
          taken = netlink::read_sysctl(path) != before;
        } catch (const Error&) {
          taken = false;  // a value that this key does not take
        }
      });
      if (!taken) continue;
      ++tried;
      EXPECT_EQ(sysctl(path), outside_before) << path << " is shared with other namespaces";
      box().netns().run([&] { netlink::write_sysctl(path, before); });
      break;
    }
  }
  EXPECT_GT(tried, 200U) << "of " << paths.size();
}

}  // namespace
}  // namespace netctl::engine
