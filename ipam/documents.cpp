#include "ipam/documents.hpp"

#include "ipam/keys_internal.hpp"

namespace netctl::ipam {
namespace {

std::string document_key(const std::string& kind, const std::string& name) {
  return hashed_key(kDocumentPrefix, kind) + ByteWriter().raw(hash_parts({name}).bytes).take();
}

std::pair<std::string, nlohmann::json> read_document(const std::string& bytes) {
  ByteReader reader(bytes);
  std::string name = reader.text();
  nlohmann::json document = nlohmann::json::parse(reader.text(), nullptr, false);
  if (document.is_discarded()) throw Damage("a document is no JSON");
  return {std::move(name), std::move(document)};
}

}  // namespace

void put_document(Transaction& transaction, const std::string& kind, const std::string& name,
                  const nlohmann::json& document) {
  transaction.put(document_key(kind, name), ByteWriter().text(name).text(document.dump()).take());
}

std::optional<nlohmann::json> find_document(const Transaction& transaction, const std::string& kind,
                                            const std::string& name) {
  const auto bytes = transaction.get(document_key(kind, name));
  if (!bytes) return std::nullopt;
  return read_document(*bytes).second;
}

void erase_document(Transaction& transaction, const std::string& kind, const std::string& name) {
  transaction.erase(document_key(kind, name));
}

std::vector<std::pair<std::string, nlohmann::json>> list_documents(const Transaction& transaction,
                                                                   const std::string& kind) {
  const std::string prefix = hashed_key(kDocumentPrefix, kind);
  std::vector<std::pair<std::string, nlohmann::json>> documents;
  transaction.scan(prefix, prefix, [&](const std::string&, const std::string& value) {
    documents.push_back(read_document(value));
    return true;
  });
  return documents;
}

}  // namespace netctl::ipam
