#pragma once
// HTTP by libcurl, without blocking: all transfers share one descriptor that the caller polls.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace netctl::overlay {

struct TlsFiles {
  std::string ca, certificate,
      key;  ///< paths of PEM files; empty: the system's CAs, no certificate of our own
};

struct HttpReply {
  long status = 0;
  std::string body;     ///< of a stream: empty
  std::string failure;  ///< not empty: there was no whole answer, and why
};

struct HttpCall {
  std::string url;
  std::string body;                   ///< sent by POST, as JSON
  std::vector<std::string> headers;   ///< "Name: value"
  std::chrono::milliseconds timeout;  ///< of the whole; a stream has none once it is connected
};

class HttpClient {
 public:
  using Done = std::function<void(const HttpReply&)>;
  using Piece = std::function<void(std::string_view)>;

  /// Errors: kInternal.
  explicit HttpClient(TlsFiles files);
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;
  ~HttpClient();

  [[nodiscard]] int fd() const;
  /// Moves all transfers on and calls back; callbacks may start and cancel transfers.
  void drive();
  /// Redirects are not followed, proxies not used. With `piece` it is a stream. `done` is called once, unless cancelled.
  std::uint64_t start(const HttpCall& call, Done done, Piece piece = {});
  void cancel_all();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace netctl::overlay
