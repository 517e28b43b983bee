#pragma once

#include <optional>
#include <string>

#include "plugins/engine/parts/system_bus.hpp"

namespace netctl::engine {

/// firewalld's running configuration, through the interface org.fedoraproject.FirewallD1.zone. A source is an address in
/// CIDR notation, or a range of them.
class Firewalld {
 public:
  /// nullopt when it does not run. It is never started by this. Errors: kIo, kTryAgainLater.
  [[nodiscard]] static std::optional<Firewalld> connect();

  /// Errors of all: kInvalidConfig when there is no such zone; kNotAvailable with firewalld's words.
  [[nodiscard]] bool has_source(const std::string& zone, const std::string& source);
  /// One that is there already is success.
  void add_source(const std::string& zone, const std::string& source);
  /// One that is gone, with or without its zone, is success.
  void remove_source(const std::string& zone, const std::string& source);

 private:
  explicit Firewalld(SystemBus bus) : bus_(std::move(bus)) {}
  [[nodiscard]] BusAnswer call(const char* method, const std::string& zone, const std::string& source);
  SystemBus bus_;
};

}  // namespace netctl::engine
