#pragma once
// Tends one overlay on this host: keeps its source, its lease file and its VTEP in step.

#include <memory>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "netlink/link_events.hpp"
#include "plugins/overlay/control/vtep.hpp"
#include "plugins/overlay/source/peer_source.hpp"

namespace netctl::overlay {

class Tender {
 public:
  /// `socket` has to outlive it; `plugin_config` is what `config` was read from. Never fails: what is wrong is in status().
  Tender(netlink::Socket& socket, OverlayConfig config, nlohmann::json plugin_config,
         std::string state_directory);

  [[nodiscard]] const std::string& network() const { return config_.network; }
  [[nodiscard]] int fd() const { return source_ ? source_->fd() : -1; }
  [[nodiscard]] Clock::time_point deadline() const;
  /// After input, after the deadline, or at any time: takes the source on, and brings file and kernel up to date if due.
  void drive();
  void on_links(const netlink::LinkEvents::Seen& seen);
  /// Mends now, and asks the source anew.
  void synchronise();
  void remove_node(const std::string& name, PeerSource::Answer answer);

  struct Counters {
    std::uint64_t reconciles = 0, failures = 0;
    double last_seconds = 0;
  };
  [[nodiscard]] const Counters& counters() const { return counters_; }
  [[nodiscard]] nlohmann::json status() const;
  [[nodiscard]] const View* view() const { return source_ ? &source_->view() : nullptr; }
  /// A sentence; empty: all is well.
  [[nodiscard]] std::string trouble() const;

 private:
  void open_source(const Lease& local);
  void give_up_blocks();
  void bring_up_to_date();
  [[nodiscard]] Membership membership(Lease local) const;
  void program(const Membership& membership);
  [[nodiscard]] bool may_move();
  void report();

  netlink::Socket* socket_;
  OverlayConfig config_;
  nlohmann::json plugin_config_;
  std::string state_directory_;
  std::unique_ptr<PeerSource> source_;
  IpAddress source_vtep_;
  std::uint64_t applied_generation_ = 0, applied_revision_ = 0;
  std::optional<Membership> written_;
  std::optional<Clock::time_point> dirty_at_;
  Clock::time_point next_look_, not_before_;
  std::uint32_t vtep_index_ = 0, underlay_index_ = 0;
  std::string kernel_trouble_, reported_;
  Counters counters_;
};

}  // namespace netctl::overlay
