#pragma once
// The system's message bus, as far as asking firewalld needs it: a connection, a method call with texts as arguments, an
// answer that is a text, a yes or no, or nothing (D-Bus Specification 0.42). libsystemd has all of it and more, and would
// be loaded by every executable that can collect garbage.

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace netctl::engine {

struct BusAnswer {
  bool is_error = false;
  std::string text;  ///< the first text of the answer; of an error the words of whoever was asked
  std::string error_name;
  bool flag = false;  ///< of an answer that is a yes or no
};

struct BusCall {
  std::string destination, path, interface, method;
  std::vector<std::string> arguments;
};

class SystemBus {
 public:
  /// $DBUS_SYSTEM_BUS_ADDRESS, else /run/dbus/system_bus_socket. nullopt when nobody listens there.
  /// Errors: kIo when the bus does not speak as it should or lets nobody in.
  [[nodiscard]] static std::optional<SystemBus> connect();
  SystemBus(SystemBus&&) noexcept;
  SystemBus& operator=(SystemBus&&) noexcept;
  SystemBus(const SystemBus&) = delete;
  SystemBus& operator=(const SystemBus&) = delete;
  ~SystemBus();

  /// Is somebody there under this name? Starts nobody.
  [[nodiscard]] bool has_owner(const std::string& name);
  /// Errors: kTryAgainLater when no answer comes within 25 seconds; kIo. An error of whoever was asked is an answer.
  [[nodiscard]] BusAnswer call(const BusCall& call);

 private:
  struct Impl;
  explicit SystemBus(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace netctl::engine
