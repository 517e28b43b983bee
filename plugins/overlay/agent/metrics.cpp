// Prometheus' text format, version 0.0.4.

#include <functional>

#include "plugins/overlay/agent/agent.hpp"

namespace netctl::overlay {
namespace {

using Value = std::function<double(const Tender&)>;

std::string number(double value) {
  const auto whole = static_cast<long long>(value);
  return static_cast<double>(whole) == value ? std::to_string(whole) : std::to_string(value);
}

void add(std::string& text, const std::list<Tender>& tenders, const char* name, const char* type,
         const char* help, const Value& value) {
  text += std::string("# HELP ") + name + " " + help + "\n# TYPE " + name + " " + type + "\n";
  for (const Tender& tender : tenders) {
    text += std::string(name) + "{network=\"" + tender.network() + "\"} " + number(value(tender)) + "\n";
  }
}

/// Of what the source told; 0 while there is no source.
Value of_view(const std::function<double(const View&)>& value) {
  return [value](const Tender& tender) { return tender.view() == nullptr ? 0 : value(*tender.view()); };
}

}  // namespace

std::string Agent::metrics() const {
  std::string text;
  add(text, tenders_, "netctl_overlay_ok", "gauge", "1 when source and kernel are as they should be.",
      [](const Tender& tender) { return tender.trouble().empty() ? 1 : 0; });
  add(text, tenders_, "netctl_overlay_fenced", "gauge", "1 when the node's blocks belong to another one.",
      of_view([](const View& view) { return view.fenced.empty() ? 0 : 1; }));
  add(text, tenders_, "netctl_overlay_peers", "gauge", "Nodes that are known, this one too.",
      of_view([](const View& view) { return static_cast<double>(view.peers.size()); }));
  add(text, tenders_, "netctl_overlay_rejected", "gauge", "Records of nodes that cannot be used.",
      of_view([](const View& view) { return static_cast<double>(view.rejected.size()); }));
  add(text, tenders_, "netctl_overlay_revision", "gauge", "Revision of the nodes at their source.",
      of_view([](const View& view) { return static_cast<double>(view.revision); }));
  add(text, tenders_, "netctl_overlay_confirmed_seconds", "gauge",
      "Unix time of the source's last confirmation.",
      of_view([](const View& view) { return static_cast<double>(view.confirmed_wall_seconds); }));
  add(text, tenders_, "netctl_overlay_lists_total", "counter", "Whole lists read from the source.",
      of_view([](const View& view) { return static_cast<double>(view.lists); }));
  add(text, tenders_, "netctl_overlay_source_failures_total", "counter", "Times that the source was lost.",
      of_view([](const View& view) { return static_cast<double>(view.failures); }));
  add(text, tenders_, "netctl_overlay_reconciles_total", "counter",
      "Comparisons with the kernel that succeeded.",
      [](const Tender& tender) { return static_cast<double>(tender.counters().reconciles); });
  add(text, tenders_, "netctl_overlay_reconcile_failures_total", "counter",
      "Comparisons with the kernel that failed.",
      [](const Tender& tender) { return static_cast<double>(tender.counters().failures); });
  add(text, tenders_, "netctl_overlay_reconcile_seconds", "gauge", "Duration of the last comparison.",
      [](const Tender& tender) { return tender.counters().last_seconds; });
  return text;
}

}  // namespace netctl::overlay
