#include "plugins/overlay/source/http_client.hpp"

#include <curl/curl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "base/error.hpp"
#include "base/unique_fd.hpp"

namespace netctl::overlay {
namespace {

// More than 100,000 nodes; whoever sends more is no etcd.
constexpr std::size_t kLargestAnswer = 64U << 20U;
constexpr long kConnectMilliseconds = 1500;
// Bytes of ours that nobody acknowledges for so long mean that the way is cut.
constexpr int kUnacknowledgedMilliseconds = 4000;

struct Transfer {
  CURL* easy = nullptr;
  curl_slist* headers = nullptr;
  std::string request, body, error;
  HttpClient::Done done;
  HttpClient::Piece piece;

  Transfer() = default;
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;
  ~Transfer() {
    curl_slist_free_all(headers);
    if (easy != nullptr) curl_easy_cleanup(easy);
  }
};

std::size_t on_body(char* data, std::size_t, std::size_t size, void* cookie) {
  auto* transfer = static_cast<Transfer*>(cookie);
  if (transfer->body.size() + size > kLargestAnswer) return 0;
  transfer->body.append(data, size);
  return size;
}

int on_new_socket(void*, curl_socket_t socket, curlsocktype) {
  const int limit = kUnacknowledgedMilliseconds;
  // Best effort: without it a cut way is seen later.
  ::setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &limit, sizeof limit);
  return CURL_SOCKOPT_OK;
}

}  // namespace

struct HttpClient::Impl {
  TlsFiles files;
  CURLM* multi = nullptr;
  UniqueFd epoll;
  UniqueFd timer;
  std::uint64_t last_id = 0;
  std::map<std::uint64_t, std::unique_ptr<Transfer>> transfers;

  static int on_socket(CURL*, curl_socket_t socket, int what, void* cookie, void* known) {
    auto* self = static_cast<Impl*>(cookie);
    if (what == CURL_POLL_REMOVE) {
      ::epoll_ctl(self->epoll.get(), EPOLL_CTL_DEL, socket, nullptr);
      return 0;
    }
    epoll_event event{};
    event.events =
        ((what & CURL_POLL_IN) != 0 ? EPOLLIN : 0U) | ((what & CURL_POLL_OUT) != 0 ? EPOLLOUT : 0U);
    event.data.fd = socket;
    ::epoll_ctl(self->epoll.get(), known == nullptr ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, socket, &event);
    curl_multi_assign(self->multi, socket, self);
    return 0;
  }

  static int on_timer(CURLM*, long milliseconds, void* cookie) {
    itimerspec when{};
    if (milliseconds >= 0) {
      when.it_value.tv_sec = milliseconds / 1000;
      when.it_value.tv_nsec = std::max(milliseconds % 1000 * 1'000'000, 1L);
    }
    ::timerfd_settime(static_cast<Impl*>(cookie)->timer.get(), 0, &when, nullptr);
    return 0;
  }

  void forget(std::uint64_t id) {
    const auto found = transfers.find(id);
    if (found == transfers.end()) return;
    curl_multi_remove_handle(multi, found->second->easy);
    transfers.erase(found);
  }

  void set_options(Transfer& transfer, const HttpCall& call) const {
    CURL* easy = transfer.easy;
    curl_easy_setopt(easy, CURLOPT_URL, call.url.c_str());
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, static_cast<long>(transfer.request.size()));
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, transfer.request.c_str());
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer.headers);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, kConnectMilliseconds);
    if (!transfer.piece) {
      curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(call.timeout.count()));
    }
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, 5L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, 2L);
    curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, &on_new_socket);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &transfer);
    transfer.error.resize(CURL_ERROR_SIZE);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer.error.data());
    if (!files.ca.empty()) curl_easy_setopt(easy, CURLOPT_CAINFO, files.ca.c_str());
    if (!files.certificate.empty()) curl_easy_setopt(easy, CURLOPT_SSLCERT, files.certificate.c_str());
    if (!files.key.empty()) curl_easy_setopt(easy, CURLOPT_SSLKEY, files.key.c_str());
  }

  void hand_over_pieces() {
    std::vector<std::uint64_t> ids;
    for (const auto& [id, transfer] : transfers) {
      if (transfer->piece && !transfer->body.empty()) ids.push_back(id);
    }
    for (const std::uint64_t id : ids) {
      const auto found = transfers.find(id);
      if (found == transfers.end()) continue;
      const std::string data = std::exchange(found->second->body, {});
      const Piece piece = found->second->piece;  // the transfer may be gone when it returns
      piece(data);
    }
  }

  void finish(CURL* easy, CURLcode result) {
    const auto found = std::find_if(transfers.begin(), transfers.end(),
                                    [easy](const auto& entry) { return entry.second->easy == easy; });
    if (found == transfers.end()) return;
    const std::unique_ptr<Transfer> transfer = std::move(found->second);
    transfers.erase(found);
    curl_multi_remove_handle(multi, easy);
    HttpReply reply;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &reply.status);
    reply.body = std::move(transfer->body);
    if (result != CURLE_OK) {
      reply.failure = transfer->error.c_str();
      if (reply.failure.empty()) reply.failure = curl_easy_strerror(result);
    }
    transfer->done(reply);
  }
};

HttpClient::HttpClient(TlsFiles files) : impl_(std::make_unique<Impl>()) {
  static const CURLcode initialised = curl_global_init(CURL_GLOBAL_DEFAULT);
  impl_->files = std::move(files);
  impl_->multi = curl_multi_init();
  impl_->epoll = UniqueFd(::epoll_create1(EPOLL_CLOEXEC));
  impl_->timer = UniqueFd(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
  if (initialised != CURLE_OK || impl_->multi == nullptr || !impl_->epoll || !impl_->timer) {
    throw Error(ErrorCode::kInternal, "libcurl could not be set up");
  }
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = impl_->timer.get();
  ::epoll_ctl(impl_->epoll.get(), EPOLL_CTL_ADD, impl_->timer.get(), &event);
  curl_multi_setopt(impl_->multi, CURLMOPT_SOCKETFUNCTION, &Impl::on_socket);
  curl_multi_setopt(impl_->multi, CURLMOPT_SOCKETDATA, impl_.get());
  curl_multi_setopt(impl_->multi, CURLMOPT_TIMERFUNCTION, &Impl::on_timer);
  curl_multi_setopt(impl_->multi, CURLMOPT_TIMERDATA, impl_.get());
}

HttpClient::~HttpClient() {
  cancel_all();
  curl_multi_cleanup(impl_->multi);
}

int HttpClient::fd() const { return impl_->epoll.get(); }

void HttpClient::drive() {
  std::array<epoll_event, 16> events{};
  const int count = ::epoll_wait(impl_->epoll.get(), events.data(), static_cast<int>(events.size()), 0);
  int running = 0;
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events.at(static_cast<std::size_t>(i));
    if (event.data.fd == impl_->timer.get()) {
      std::uint64_t expired = 0;
      if (::read(impl_->timer.get(), &expired, sizeof expired) < 0) continue;
      curl_multi_socket_action(impl_->multi, CURL_SOCKET_TIMEOUT, 0, &running);
      continue;
    }
    int what = 0;
    if ((event.events & EPOLLIN) != 0) what |= CURL_CSELECT_IN;
    if ((event.events & EPOLLOUT) != 0) what |= CURL_CSELECT_OUT;
    if ((event.events & (EPOLLERR | EPOLLHUP)) != 0) what |= CURL_CSELECT_ERR;
    curl_multi_socket_action(impl_->multi, event.data.fd, what, &running);
  }
  impl_->hand_over_pieces();
  int left = 0;
  while (CURLMsg* message = curl_multi_info_read(impl_->multi, &left)) {
    if (message->msg == CURLMSG_DONE) impl_->finish(message->easy_handle, message->data.result);
  }
}

std::uint64_t HttpClient::start(const HttpCall& call, Done done, Piece piece) {
  auto transfer = std::make_unique<Transfer>();
  transfer->easy = curl_easy_init();
  if (transfer->easy == nullptr) throw Error(ErrorCode::kInternal, "libcurl has no memory");
  transfer->request = call.body;
  transfer->done = std::move(done);
  transfer->piece = std::move(piece);
  for (const std::string& header : call.headers) {
    transfer->headers = curl_slist_append(transfer->headers, header.c_str());
  }
  impl_->set_options(*transfer, call);
  const std::uint64_t id = ++impl_->last_id;
  CURL* easy = transfer->easy;
  impl_->transfers.emplace(id, std::move(transfer));
  curl_multi_add_handle(impl_->multi, easy);
  return id;
}

void HttpClient::cancel_all() {
  while (!impl_->transfers.empty()) impl_->forget(impl_->transfers.begin()->first);
}

}  // namespace netctl::overlay
