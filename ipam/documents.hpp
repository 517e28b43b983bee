#pragma once
// Documents of front ends: JSON by (kind, name), in either store. A network definition or a pool that another program will
// never tell again belongs into the durable one.

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "ipam/store.hpp"

namespace netctl::ipam {

/// Networks as Docker defined them, durable: {"name", "configuration": {"bridge", ...}, "subnets": [{"subnet", ...}], ...}.
inline constexpr const char* kDockerNetworks = "docker-network";

void put_document(Transaction& transaction, const std::string& kind, const std::string& name,
                  const nlohmann::json& document);
[[nodiscard]] std::optional<nlohmann::json> find_document(const Transaction& transaction,
                                                          const std::string& kind, const std::string& name);
void erase_document(Transaction& transaction, const std::string& kind,
                    const std::string& name);  ///< erasing nothing is success
/// All of a kind, with their names.
[[nodiscard]] std::vector<std::pair<std::string, nlohmann::json>> list_documents(
    const Transaction& transaction, const std::string& kind);

}  // namespace netctl::ipam
