// `netctl`: shows networks and attachments, attaches and detaches as a runtime would, collects what is left over.

#include <unistd.h>

#include <cstdio>
#include <functional>

#include <CLI/CLI.hpp>

#include "base/error.hpp"
#include "netctl/verbs.hpp"

namespace netctl::cli {
namespace {

void add_show_verbs(CLI::App& app, Output& output) {
  auto* verb = app.add_subcommand("ls", "Networks: driver, subnet, bridge, containers, use of the pool");
  verb->add_flag("--json", output.json, "JSON for programs");
  verb->callback([&output] { ls(output); });

  static std::optional<std::string> network;
  verb = app.add_subcommand("ps", "Attachments: container, addresses, ports, age, alive or dead");
  verb->add_flag("--json", output.json, "JSON for programs");
  verb->add_option("NETWORK", network, "Only this network");
  verb->callback([&output] { ps(output, network); });

  static std::optional<std::string> container;
  verb = app.add_subcommand("port", "Published ports");
  verb->add_flag("--json", output.json, "JSON for programs");
  verb->add_option("CONTAINER", container, "Id, beginning of an id, or name");
  verb->callback([&output] { port(output, container); });

  static std::string what;
  verb = app.add_subcommand("inspect", "Everything about a network or a container, as JSON");
  verb->add_option("WHAT", what, "Network, container id, beginning of an id, or name")->required();
  verb->callback([] { inspect(what); });
}

void add_acting_verbs(CLI::App& app, Output& output) {
  static AddOptions options;
  auto* verb = app.add_subcommand("add", "Attach a namespace to a network of the configuration directory");
  verb->add_option("NETWORK", options.network)->required();
  verb->add_option("TARGET", options.target, "PID, path of a namespace, or name below /run/netns")
      ->required();
  verb->add_option("--id", options.container_id, "Container id (default: a random one)");
  verb->add_option("--name", options.container_name, "Container name");
  verb->add_option("--ifname", options.ifname, "Interface name in the container")->capture_default_str();
  verb->add_option("-p,--publish", options.publish, "[HOSTIP:][HOST:]CONTAINER[/protocol], may be repeated")
      ->allow_extra_args(false);
  verb->add_option("--ip", options.ips, "Address to get, one a family")->allow_extra_args(false);
  verb->add_option("--mac", options.mac, "Hardware address of the container's interface");
  verb->add_flag("--json", output.json, "The result as JSON");
  verb->callback([&output] { add(output, options); });

  static std::string network;
  static std::string target;
  static std::optional<std::string> ifname;
  verb = app.add_subcommand("del", "Detach a container; nothing to detach is success");
  verb->add_option("NETWORK", network)->required();
  verb->add_option("TARGET", target, "Container id, beginning of it, name, PID or namespace")->required();
  verb->add_option("--ifname", ifname, "Only this interface");
  verb->callback([] { del(network, target, ifname); });

  static std::optional<std::string> some_network;
  static std::optional<std::string> some_target;
  verb =
      app.add_subcommand("check", "Compare attachments with the kernel; exit code 1 when something differs");
  verb->add_option("NETWORK", some_network, "Only this network");
  verb->add_option("TARGET", some_target, "Only this container");
  verb->add_flag("--json", output.json, "JSON for programs");
  verb->callback([&output] { check(output, some_network, some_target); });

  verb = app.add_subcommand("doctor", "What is wrong on this host and what to do; exit code 1 for a problem");
  verb->add_flag("--json", output.json, "JSON for programs");
  verb->callback([&output] { doctor(output); });

  verb = app.add_subcommand("gc", "Collect what is provably dead or half-done; what lives is never touched");
  verb->add_option("NETWORK", some_network, "Only this network");
  verb->add_flag("--json", output.json, "JSON for programs");
  verb->callback([&output] { gc(output, some_network); });

  verb = app.add_subcommand(
      "repair", "Make anew what networks share on this host: bridge, rules, an overlay's entries");
  verb->add_option("NETWORK", some_network, "Only this network");
  verb->add_flag("--json", output.json, "JSON for programs");
  verb->callback([&output] { repair(output, some_network); });
}

void add_address_verbs(CLI::App& app, Output& output) {
  auto* group = app.add_subcommand("ip", "Addresses that wait for their container");
  group->require_subcommand(1);
  static std::string network;
  static std::string name;
  static std::vector<std::string> addresses;
  auto* verb =
      group->add_subcommand("reserve", "Keep addresses for the container of this name, running or not");
  verb->add_option("NETWORK", network)->required();
  verb->add_option("NAME", name)->required();
  verb->add_option("ADDRESS", addresses)->required();
  verb->callback([] { ip_reserve(network, name, addresses); });
  verb = group->add_subcommand("release", "Forget a reservation");
  verb->add_option("NETWORK", network)->required();
  verb->add_option("NAME", name)->required();
  verb->callback([] { ip_release(network, name); });
  static std::optional<std::string> some_network;
  verb = group->add_subcommand("ls", "Reservations");
  verb->add_option("NETWORK", some_network, "Only this network");
  verb->add_flag("--json", output.json, "JSON for programs");
  verb->callback([&output] { ip_ls(output, some_network); });
}

void add_overlay_verbs(CLI::App& app, Output& output) {
  static std::optional<std::string> some_network;
  auto* group = app.add_subcommand("overlay", "Overlays: networks that span hosts");
  group->require_subcommand(1);
  auto* verb = group->add_subcommand("status", "Source, own blocks, last confirmation, what is wrong");
  verb->add_option("NETWORK", some_network, "Only this network");
  verb->add_flag("--json", output.json, "JSON for programs");
  verb->callback([&output] { overlay_status(output, some_network); });
  verb = group->add_subcommand("sync", "Let the agent mend now, and ask the source anew");
  verb->add_option("NETWORK", some_network, "Only this network");
  verb->callback([] { overlay_sync(some_network); });

  static std::string network;
  static std::string node;
  group = app.add_subcommand("node", "Nodes of overlays");
  group->require_subcommand(1);
  verb = group->add_subcommand("ls", "Nodes: VTEP, blocks, alive or not heard of");
  verb->add_option("NETWORK", some_network, "Only this network");
  verb->add_flag("--json", output.json, "JSON for programs");
  verb->callback([&output] { node_ls(output, some_network); });
  verb = group->add_subcommand("rm", "Free the blocks of a node that is gone for good");
  verb->add_option("NETWORK", network)->required();
  verb->add_option("NODE", node)->required();
  verb->callback([] { node_rm(network, node); });
}

int run(int argc, char** argv) {
  CLI::App app("Container networks of this host", "netctl");
  app.set_version_flag("--version", std::string("netctl ") + NETCTL_VERSION);
  app.require_subcommand(1);
  Output output;
  add_show_verbs(app, output);
  add_acting_verbs(app, output);
  add_address_verbs(app, output);
  add_overlay_verbs(app, output);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  } catch (const Error& error) {
    std::fprintf(stderr, "netctl: %s\n", error.message().c_str());
    if (!error.details().empty())
      std::fprintf(stderr, "  (code %u: %s)\n", static_cast<unsigned>(error.code()), error.details().c_str());
    return 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "netctl: %s\n", error.what());
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace netctl::cli

int main(int argc, char** argv) { return netctl::cli::run(argc, argv); }
