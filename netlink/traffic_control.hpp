#pragma once
// Traffic control: queueing disciplines, classes and filters of a link, as far as limiting the bandwidth of a container
// needs them. Functions that build a Request are pure; the socket that sends it decides in which namespace it acts.
// Handles and class ids are MAJOR:MINOR in the upper and lower 16 bits, as tc(8) prints them.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ip_address.hpp"
#include "netlink/socket.hpp"

namespace netctl::netlink {

// TC_H_ROOT, TC_H_INGRESS and the only handle that the latter can have (include/uapi/linux/pkt_sched.h).
inline constexpr std::uint32_t kRootParent = 0xFFFFFFFF;
inline constexpr std::uint32_t kIngressParent = 0xFFFFFFF1;
inline constexpr std::uint32_t kIngressHandle = 0xFFFF0000;

struct RateLimit {
  std::uint64_t rate_bytes_per_second = 0;
  std::uint32_t burst_bytes = 0;
  bool operator==(const RateLimit&) const = default;
};

/// `tbf` as the root of the link. `limit_bytes` is what may wait. NLM_F_EXCL: EEXIST when the link has a root with a handle.
[[nodiscard]] Request add_token_bucket(std::uint32_t link_index, std::uint32_t handle, const RateLimit& limit,
                                       std::uint32_t limit_bytes);
/// `ingress`, which filters can be attached to. EEXIST when there is one, or a clsact.
[[nodiscard]] Request add_ingress(std::uint32_t link_index);
/// `htb` as the root of the link; what no filter takes goes to the class `default_minor`.
[[nodiscard]] Request add_class_tree(std::uint32_t link_index, std::uint32_t handle,
                                     std::uint16_t default_minor);
/// A class of an `htb` that gets its rate and never more. The kernel keeps a burst of at most 274 seconds at that rate.
[[nodiscard]] Request add_class(std::uint32_t link_index, std::uint32_t class_id, const RateLimit& limit);

/// Everything that comes in through the link goes out through another one (`u32` that matches all, `mirred`).
[[nodiscard]] Request redirect_incoming(std::uint32_t link_index, std::uint32_t target_index);
enum class AddressSide : std::uint8_t { kSource, kDestination };
/// Packets with an address of `subnet` on that side go to the class. `parent` is the handle of the class tree.
[[nodiscard]] Request classify(std::uint32_t link_index, std::uint32_t parent, const IpPrefix& subnet,
                               AddressSide side, std::uint32_t class_id);

/// With all classes and filters in it. Tolerates that there is none, one of another handle, and no such link.
[[nodiscard]] Request delete_qdisc(std::uint32_t link_index, std::uint32_t parent, std::uint32_t handle);

/// A device that sends what is redirected to it back to where it came from (`ifb`), up. NLM_F_EXCL.
[[nodiscard]] Request create_ifb(const std::string& name, std::uint32_t mtu_bytes,
                                 std::uint32_t tx_queue_length);

struct Qdisc {
  std::string kind;
  std::uint32_t handle = 0;           ///< 0: the kernel's own default
  std::vector<std::uint8_t> options;  ///< TCA_OPTIONS as it came; of a tbf it holds settings only
};
/// At kRootParent or kIngressParent; nullopt when there is no such link, or nothing there. A dump: asked for a single one
/// the kernel gives no answer, and no error, where its own placeholder is (net/sched/sch_api.c, tc_qdisc_dump_ignore).
[[nodiscard]] std::optional<Qdisc> find_qdisc(Socket& socket, std::uint32_t link_index, std::uint32_t parent);

/// What a `u32` filter says, in the words of the builders above.
struct Filter {
  std::uint32_t class_id = 0;
  std::uint32_t redirect_index = 0;  ///< of the link that it redirects to; 0: to none
  std::vector<std::uint8_t> keys;    ///< the selector's keys (struct tc_u32_key), as they came
  bool operator==(const Filter&) const = default;
};
/// A dump; for CHECK. Empty when there is nothing at `parent`.
[[nodiscard]] std::vector<Filter> list_filters(Socket& socket, std::uint32_t link_index,
                                               std::uint32_t parent);
/// The filter that classify() makes.
[[nodiscard]] Filter expected_filter(const IpPrefix& subnet, AddressSide side, std::uint32_t class_id);

struct TrafficClass {
  std::uint32_t class_id = 0;
  std::uint64_t rate_bytes_per_second = 0;
  std::uint64_t ceiling_bytes_per_second = 0;
};
/// A dump of the `htb` classes of a link; for CHECK.
[[nodiscard]] std::vector<TrafficClass> list_classes(Socket& socket, std::uint32_t link_index);

}  // namespace netctl::netlink
