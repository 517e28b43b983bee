#pragma once

#include <algorithm>
#include <regex>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "base/error.hpp"
#include "iptables/policy_table.hpp"
#include "tests/support/netns_test.hpp"
#include "tests/unit/iptables/sample.hpp"

namespace netctl::iptables {

/// The listing with the elements of each set in order: that of a hash is random.
inline std::string with_sorted_elements(const std::string& listing) {
  static const std::regex kElements(R"(elements = \{ ([^}]*) \})");
  std::string sorted;
  auto position = listing.cbegin();
  for (std::sregex_iterator match(listing.begin(), listing.end(), kElements), end; match != end; ++match) {
    std::vector<std::string> elements;
    static const std::regex kComma(R"(,\s*)");
    const std::string list = (*match)[1];
    std::copy(std::sregex_token_iterator(list.begin(), list.end(), kComma, -1), {},
              std::back_inserter(elements));
    std::sort(elements.begin(), elements.end());
    sorted.append(position, (*match)[0].first);
    for (const std::string& element : elements) sorted += "element " + element + "\n";
    position = (*match)[0].second;
  }
  return sorted.append(position, listing.cend());
}

inline std::string listing() {
  return with_sorted_elements(testing::output_of({"nft", "-s", "list", "ruleset"}));
}
inline void nft(const std::string& command) { testing::output_of({"nft", command}); }

class PolicyTableTest : public testing::NetnsTest {
 protected:
  void SetUp() override {
    NetnsTest::SetUp();
    socket_ = testing::open_socket_in(host(), netlink::Bus::kNetfilter);
  }

  netlink::Socket& nf_socket() { return *socket_; }
  PolicyTable table() { return PolicyTable(*socket_); }
  void install_sample() {
    table().install(sample::network());
    ASSERT_EQ(table().put(sample::network(), sample::ports()), PolicyTable::Put::kDone);
  }

 private:
  std::optional<netlink::Socket> socket_;
};

/// What `call` throws; fails when it throws nothing.
template <class Call>
Error error_of(Call&& call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "nothing was thrown";
  return Error(ErrorCode::kInternal, "nothing was thrown");
}

}  // namespace netctl::iptables
