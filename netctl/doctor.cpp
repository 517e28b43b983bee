// `netctl doctor`: everything that is not as it should be, and what to do about it. Changes nothing.

#include "netctl/doctor.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "netctl/print.hpp"
#include "netctl/table.hpp"
#include "netctl/verbs.hpp"
#include "plugins/engine/check.hpp"

namespace netctl::cli {
namespace {

void examine_attachments(const std::vector<AttachmentRow>& rows, Findings& findings) {
  for (const AttachmentRow& row : rows) {
    const ipam::AttachmentKey& key = row.record.key;
    const std::string subject = key.network + "/" + key.container_id.substr(0, 12) + "/" + key.ifname;
    if (row.unfinished) {
      findings.push_back({true, "attachment", subject,
                          "its ADD or DEL runs right now, or was interrupted; if it stays so, `netctl gc` "
                          "clears it away"});
    } else if (row.liveness == engine::Liveness::kDead) {
      findings.push_back(
          {true, "attachment", subject, "its container is gone without a DEL; `netctl gc` collects it"});
    }
  }
  if (rows.empty()) return;
  engine::Host host = engine::Host::open();
  for (const AttachmentRow& row : rows) {
    if (row.unfinished || row.liveness == engine::Liveness::kDead) continue;
    const ipam::AttachmentKey& key = row.record.key;
    for (const std::string& difference : engine::find_drift(host, row.record)) {
      findings.push_back({true, "attachment",
                          key.network + "/" + key.container_id.substr(0, 12) + "/" + key.ifname,
                          difference + "; DEL and ADD of the container puts it right"});
    }
  }
}

template <class Look>
void attempt(const char* area, Findings& findings, Look&& look) {
  try {
    look();
  } catch (const Error& error) {
    findings.push_back({true, area, "-", "could not be examined: " + error.message()});
  }
}

Findings examine_everything() {
  Findings findings;
  std::vector<std::string> complaints;
  const std::vector<frontdoor::NetworkConf> confs =
      frontdoor::load_all(frontdoor::conf_directory(), complaints);
  for (const std::string& complaint : complaints) {
    findings.push_back(
        {true, "configuration", frontdoor::conf_directory(), complaint + "; correct or remove the file"});
  }
  complaints.clear();
  std::vector<AttachmentRow> attachments;
  std::vector<NetworkRow> networks;
  attempt("store", findings, [&] { attachments = list_attachments(); });
  attempt("store", findings, [&] { networks = list_networks(complaints); });
  attempt("store", findings, [&] { examine_stores(findings); });
  attempt("kernel", findings, [&] { examine_kernel(findings); });
  attempt("attachment", findings, [&] { examine_attachments(attachments, findings); });
  attempt("host", findings, [&] { examine_network_records(findings); });
  attempt("bridge", findings, [&] { examine_bridges(networks, findings); });
  attempt("subnet", findings, [&] { examine_subnets(networks, findings); });
  attempt("firewall", findings, [&] { examine_firewalls(networks, findings); });
  attempt("leases", findings, [&] { examine_reference_leases(confs, findings); });
  attempt("rules", findings, [&] { examine_foreign_rules(confs, attachments, findings); });
  return findings;
}

}  // namespace

void doctor(const Output& output) {
  const Findings findings = examine_everything();
  const auto problems = static_cast<std::size_t>(std::count_if(
      findings.begin(), findings.end(), [](const Finding& finding) { return finding.problem; }));
  if (output.json) {
    nlohmann::json list = nlohmann::json::array();
    for (const Finding& finding : findings) {
      list.push_back({{"problem", finding.problem},
                      {"area", finding.area},
                      {"subject", finding.subject},
                      {"finding", finding.text}});
    }
    print_json({{"problems", problems}, {"findings", list}});
  } else {
    std::vector<std::vector<std::string>> rows;
    for (const Finding& finding : findings)
      rows.push_back({finding.problem ? "problem" : "note", finding.area, finding.subject, finding.text});
    print(rows.empty() ? "nothing to complain of\n" : render({"KIND", "AREA", "SUBJECT", "FINDING"}, rows));
  }
  if (problems != 0) {
    throw Error(ErrorCode::kDrift,
                std::to_string(problems) + " problem(s); each line above says what to do about it");
  }
}

}  // namespace netctl::cli
