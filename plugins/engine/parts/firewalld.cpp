#include "plugins/engine/parts/firewalld.hpp"

#include "base/error.hpp"

namespace netctl::engine {
namespace {

constexpr const char* kName = "org.fedoraproject.FirewallD1";
constexpr const char* kZone = "org.fedoraproject.FirewallD1.zone";
constexpr const char* kPath = "/org/fedoraproject/FirewallD1";

/// firewalld's errors begin with a word in capitals: "ALREADY_ENABLED: ...".
bool says(const BusAnswer& answer, std::string_view word) {
  return answer.is_error && answer.text.find(word) != std::string::npos;
}

void throw_unless(bool fine, const BusAnswer& answer, const std::string& zone) {
  if (fine) return;
  if (says(answer, "INVALID_ZONE")) {
    throw Error(ErrorCode::kInvalidConfig,
                "firewalldZone: firewalld has no zone " + zone + "; name one of its zones", answer.text);
  }
  throw Error(ErrorCode::kNotAvailable,
              "firewalld refused to let the container's packets pass: " + answer.text + " (" +
                  answer.error_name + ")",
              answer.text);
}

}  // namespace

std::optional<Firewalld> Firewalld::connect() {
  auto bus = SystemBus::connect();
  if (!bus || !bus->has_owner(kName)) return std::nullopt;
  return Firewalld(std::move(*bus));
}

BusAnswer Firewalld::call(const char* method, const std::string& zone, const std::string& source) {
  return bus_.call({kName, kPath, kZone, method, {zone, source}});
}

bool Firewalld::has_source(const std::string& zone, const std::string& source) {
  const BusAnswer answer = call("querySource", zone, source);
  throw_unless(!answer.is_error, answer, zone);
  return answer.flag;
}

void Firewalld::add_source(const std::string& zone, const std::string& source) {
  const BusAnswer answer = call("addSource", zone, source);
  throw_unless(!answer.is_error || says(answer, "ZONE_ALREADY_SET") || says(answer, "ALREADY_ENABLED"),
               answer, zone);
}

void Firewalld::remove_source(const std::string& zone, const std::string& source) {
  const BusAnswer answer = call("removeSource", zone, source);
  throw_unless(!answer.is_error || says(answer, "UNKNOWN_SOURCE") || says(answer, "NOT_ENABLED") ||
                   says(answer, "INVALID_ZONE"),
               answer, zone);
}

}  // namespace netctl::engine
