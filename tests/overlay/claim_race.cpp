// claim_race ENDPOINT NAME FIRST: claims blocks of the network "race" for the nodes NAME-0, NAME-1, ... one after the other
// through the agent's own source, until all blocks are taken; a line for each. VTEPs are 172.0.0.0 + FIRST and on.

#include <poll.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "base/error.hpp"
#include "plugins/overlay/source/peer_source.hpp"

namespace {

using namespace netctl;
using namespace netctl::overlay;

constexpr int kStepMilliseconds = 200;

/// The block that the node got, or why it got none.
std::string claim(const std::string& endpoint, const std::string& node, unsigned number) {
  Application application;
  application.config.network = "race";
  application.config.vni = 9;
  application.config.subnets = {*IpPrefix::parse("10.80.0.0/16")};
  application.config.block_length_v4 = 24;
  application.config.source_options = {{"endpoints", {endpoint}}, {"leaseSeconds", 60}};
  const auto vtep = IpAddress::from_number(Family::kIpv4, (uint128{172} << 24U) + number);
  application.self = {{node, vtep, {}, {}}, "identity-of-" + node};
  application.may_move = [] { return true; };
  const auto source = make_etcd_source(std::move(application));
  while (source->view().blocks.empty()) {
    if (source->view().trouble.starts_with("all ")) return "";
    pollfd polled{source->fd(), POLLIN, 0};
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(source->deadline() - Clock::now());
    ::poll(&polled, 1, static_cast<int>(std::clamp<long>(left.count(), 0, kStepMilliseconds)));
    source->drive();
  }
  return source->view().blocks.front().to_string();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const auto first = static_cast<unsigned>(std::strtoul(argv[3], nullptr, 10));
  for (unsigned i = 0;; ++i) {
    const auto began = Clock::now();
    const std::string node = std::string(argv[2]) + "-" + std::to_string(i);
    const std::string block = claim(argv[1], node, first + i);
    if (block.empty()) return 0;
    const std::chrono::duration<double> took = Clock::now() - began;
    std::printf("%s %s %.4f\n", node.c_str(), block.c_str(), took.count());
    std::fflush(stdout);
  }
}
